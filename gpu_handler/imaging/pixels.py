"""The arrays that travel through the handler, and how large ones are walked through."""

from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8, sRGB, upright, contiguous."""

Alpha: TypeAlias = NDArray[np.uint8]
"""(H, W) uint8 coverage: 0 is outside, 255 is inside."""

Floats: TypeAlias = NDArray[np.float32]

TILE = 256
"""Side of a tile in pixels: 256 x 256 x 3 float32 is 0.8 MB and stays in a core's L2 cache."""

Tile: TypeAlias = tuple[slice, slice]


def tiles(shape: tuple[int, ...], side: int = TILE) -> Iterator[Tile]:
    """(rows, columns) slices that cover an (H, W, ...) array once, row by row."""
    height, width = shape[:2]
    for y in range(0, height, side):
        for x in range(0, width, side):
            yield slice(y, min(y + side, height)), slice(x, min(x + side, width))


def enlarge(small: Floats, shape: tuple[int, int], tile: Tile) -> Floats:
    """One tile of `small` stretched over an (H, W) picture, bilinear between pixel centres.

    `small` is (h, w) or (h, w, C) float32. Tiles fit together without seams.
    """
    rows, columns = tile
    fy, fx = small.shape[0] / shape[0], small.shape[1] / shape[1]
    place = np.array(
        [
            [fx, 0, (columns.start + 0.5) * fx - 0.5],
            [0, fy, (rows.start + 0.5) * fy - 0.5],
        ]
    )
    stretched = cv2.warpAffine(
        small,
        place,
        (columns.stop - columns.start, rows.stop - rows.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(stretched, np.float32)


def shrink(pixels: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """Area-averaged copy of (H, W) or (H, W, 3) whose longest side is at most `longest_side`.

    Halving is several times cheaper than one step by an odd factor and as good: each output pixel
    still averages all the input pixels below it.
    """
    while min(pixels.shape[:2]) > 1 and max(pixels.shape[:2]) >= 2 * longest_side:
        half = (max(1, pixels.shape[1] // 2), max(1, pixels.shape[0] // 2))
        pixels = np.asarray(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = pixels.shape[:2]
    factor = longest_side / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
