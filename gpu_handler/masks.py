"""Low-resolution logits to an alpha that follows the photo's own edges at full size.

Three things matter: the mask is hardened before it is filtered (a soft ramp only gets wider), the
filter is guided by all three colours, and a contrast step follows it. The guided filter's
coefficients are found at about 504 pixels and applied at full size, in tiles that the boundary
crosses; everything else snaps to 0 or 255.

K. He, J. Sun, X. Tang, "Guided Image Filtering", 2013; K. He, J. Sun, "Fast Guided Filter", 2015.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Alpha, Floats, Pixels, Tile, enlarge, shrink, tiles

_WORK = 504
"""Longest side the filter works at; 1008 and 2016 gave the same error along the edges."""

_GRID = 1008
"""Longest side of logits that is used in full; finer grids are averaged down to it."""

_EPSILON = 1e-3  # colour variance below which a window counts as flat, in 0..1 squared
_GAIN = 4.0  # hardens the logits
_LOW, _HIGH = 0.2, 0.8  # what the contrast step maps to 0 and 1
_BAND = 2.5  # reach of the refinement, in pixels of a 288 x 288 grid
_FARTHEST = 20.0  # logits beyond this are certain; infinite ones would overflow


class EdgeGuide:
    """A photo prepared for refining several masks on it."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self.guide = np.divide(shrink(pixels, _WORK), 255, dtype=np.float32)

    def alpha(self, logits: NDArray[np.float32]) -> Alpha:
        """(H, W) uint8 coverage of one mask; `logits` as `edge_alpha` takes them."""
        height, width = self.pixels.shape[:2]
        logits = _clean(logits)
        inside = np.where(logits > 0, np.uint8(255), np.uint8(0))
        if not inside.any() or inside.all():
            return np.full((height, width), inside.flat[0], np.uint8)
        stairs = cv2.resize(inside, (width, height), interpolation=cv2.INTER_NEAREST)
        alpha = np.asarray(stairs, np.uint8)
        slope, offset = self._coefficients(logits)
        band = _band(inside)
        for tile in tiles(alpha.shape, 128):
            near = enlarge(band, (height, width), tile)
            if near.any():
                fine = self._refined(slope, offset, tile)
                coarse = alpha[tile].astype(np.float32)
                alpha[tile] = np.rint(coarse + (fine * 255 - coarse) * near)
        return alpha

    def _coefficients(self, logits: Floats) -> tuple[Floats, Floats]:
        """The linear model alpha = slope . rgb + offset around each pixel of the guide."""
        height, width = self.guide.shape[:2]
        stretched = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR)
        hard = 1 / (1 + np.exp(-_GAIN * np.asarray(stretched)))
        cell = max(height, width) / max(logits.shape)
        return _guided(self.guide, hard.astype(np.float32), max(1, min(16, round(1.75 * cell))))

    def _refined(self, slope: Floats, offset: Floats, tile: Tile) -> Floats:
        shape = self.pixels.shape[0], self.pixels.shape[1]
        product = enlarge(slope, shape, tile) * self.pixels[tile]
        value = product.sum(2) / 255 + enlarge(offset, shape, tile)
        t = np.clip((value - _LOW) / (_HIGH - _LOW), 0, 1)
        return t * t * (3 - 2 * t)


def edge_alpha(pixels: Pixels, logits: NDArray[np.float32]) -> Alpha:
    """(H, W) uint8 alpha of the mask that `logits` give, 0 outside and 255 inside.

    `pixels` (H, W, 3) sRGB; `logits` (h, w), any grid stretched over the photo, > 0 inside. Not a
    number counts as outside. For several masks on one photo, keep an EdgeGuide.
    """
    return EdgeGuide(pixels).alpha(logits)


def _clean(logits: NDArray[np.float32]) -> Floats:
    if logits.ndim != 2 or not logits.size:
        raise ValueError(f"logits must be a grid, not {logits.shape}")
    known = np.nan_to_num(logits.astype(np.float32), nan=-_FARTHEST)
    known = np.clip(known, -_FARTHEST, _FARTHEST)
    factor = _GRID / max(known.shape)
    if factor >= 1:
        return known
    size = (max(1, round(known.shape[1] * factor)), max(1, round(known.shape[0] * factor)))
    return np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_AREA), np.float32)


def _band(inside: NDArray[np.uint8]) -> Floats:
    """1 within reach of the boundary, 0 elsewhere, on the logits' grid."""
    reach = max(1, round(_BAND * max(1.0, max(inside.shape) / 288)))
    edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    near = cv2.dilate(edge, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return np.divide(near, 255, dtype=np.float32)


def _guided(guide: Floats, mask: Floats, radius: int) -> tuple[Floats, Floats]:
    """Slope (h, w, 3) and offset (h, w) of the colour guided filter (2013, equations 19-21)."""
    mean = _box(guide, radius)
    mask_mean = _box(mask, radius)
    shared = _box(guide * mask[..., None], radius) - mean * mask_mean[..., None]
    pairs = _box((guide[..., :, None] * guide[..., None, :]).reshape(*mask.shape, 9), radius)
    spread = pairs.reshape(*mask.shape, 3, 3) - mean[..., :, None] * mean[..., None, :]
    spread += _EPSILON * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(spread, shared[..., None])[..., 0].astype(np.float32)
    offset = mask_mean - (slope * mean).sum(-1)
    return _box(slope, radius), _box(offset, radius)


def _box(values: Floats, radius: int) -> Floats:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
