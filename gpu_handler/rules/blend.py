"""Laying new pixels over a picture where an alpha says so, tile by tile."""

from collections.abc import Callable

import cv2
import numpy as np

from gpu_handler.imaging.pixels import Alpha, Pixels, Tile, tiles


def lay(out: Pixels, alpha: Alpha, paint: Callable[[Tile], Pixels]) -> None:
    """Blend what `paint` gives for a tile over `out`, in place; tiles of alpha 0 are not painted.

    `out` (H, W, 3), `alpha` (H, W). A pixel of alpha 0 is not touched and one of alpha 255 is
    replaced, both exactly; between them out + (paint - out) * alpha / 255, rounded.
    """
    for tile in tiles(alpha.shape):
        cover = alpha[tile]
        if cover.any():
            _blend(out[tile], paint(tile), cover)


def _blend(out: Pixels, paint: Pixels, cover: Alpha) -> None:
    if cover.min() == 255:
        out[...] = paint
        return
    rows, columns = np.nonzero((cover > 0) & (cover < 255))
    weight = cover[rows, columns].astype(np.int32)[:, None]
    mixed = out[rows, columns] * (255 - weight) + paint[rows, columns] * weight
    cv2.copyTo(paint, cv2.inRange(cover, 255, 255), out)
    out[rows, columns] = (mixed + 127) // 255
