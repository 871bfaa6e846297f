"""Recolour: a surface in another paint, with its light, shade, grain and highlights."""

import math

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.color import delta_e_2000, linear_to_cielab, srgb_to_linear
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels, Tile, enlarge, shrink
from gpu_handler.rules.blend import lay
from gpu_handler.rules.shading import STEPS, Shading, shade
from shared.rules import Recolor

_SAMPLES = 20_000
_SURE = 243  # alpha from which a pixel shows the surface and nothing else
_BASE = 256  # longest side at which a surface's smooth light is found
_BASE_RADIUS = 6


class RecolorReport(Struct, frozen=True):
    """The colour asked for and the median that was reached (sRGB), and how far apart they are.

    `delta_e` is CIEDE2000. A wall whose shade is deep has a median darker than its paint; pure
    white is aimed below on purpose, as no lit wall is display white.
    """

    asked: tuple[int, int, int]
    reached: tuple[int, int, int]
    delta_e: float


def recolor(
    pixels: Pixels, alpha: Alpha, rule: Recolor, out: Pixels | None = None
) -> tuple[Pixels, RecolorReport | None]:
    """Paint the surface under `alpha` (H, W) in the rule's colour.

    What is painted follows `pixels` alone; it is laid over `out` (changed in place; a copy of
    `pixels` where there is none). Pixels of alpha 0 stay as they are in `out`, bit for bit.
    No report where `alpha` is 0 everywhere.
    """
    out = pixels.copy() if out is None else out
    surface = _samples(pixels, alpha)
    if not len(surface):
        return out, None
    shading = shade(rule.rgb, surface)
    brush = _Brush(pixels, alpha, shading)
    lay(out, alpha, brush.paint)
    return out, _report(rule, _samples(out, alpha))


class _Brush:
    """Paints tiles of one surface."""

    def __init__(self, pixels: Pixels, alpha: Alpha, shading: Shading) -> None:
        self.pixels = pixels
        self.shading = shading
        self.base = _smooth_light(pixels, alpha) if shading.detail < 1 else None
        self.levels = _levels(shading)

    def paint(self, tile: Tile) -> Pixels:
        old = np.ascontiguousarray(self.pixels[tile])
        grey = np.asarray(cv2.cvtColor(old, cv2.COLOR_RGB2GRAY), np.uint8)
        if self.base is not None:
            shape = self.pixels.shape[0], self.pixels.shape[1]
            return self._softened(old, grey, enlarge(self.base, shape, tile))
        row = grey.astype(np.uint16) << 8
        return np.stack([self.levels[c].take(row | old[..., c]) for c in range(3)], -1)

    def _softened(self, old: Pixels, grey: NDArray[np.uint8], base: Floats) -> Pixels:
        """Through the fine table, with detail reduced against the smooth light."""
        detail = self.shading.detail
        index = np.rint((base + (grey - base) * detail) * STEPS).astype(np.intp)
        new = self.shading.table[np.clip(index, 0, len(self.shading.table) - 1)]
        return _keep_light(new, old, grey[..., None], self.shading)


def _levels(shading: Shading) -> NDArray[np.uint8]:
    """(3, 65536): for each channel its new value by 256 * old grey + its old value."""
    new = shading.table[::STEPS, None]
    values = np.arange(256, dtype=np.uint8)
    old = np.broadcast_to(values[:, None], (256, 256, 3))
    levels = _keep_light(new, old, values[:, None, None], shading)
    return np.ascontiguousarray(levels.reshape(-1, 3).T)


def _keep_light(
    new: Floats, old: NDArray[np.uint8], grey: NDArray[np.uint8], shading: Shading
) -> NDArray[np.uint8]:
    """Coloured light kept: each channel shifted as it deviates from the old paint's tint.

    What brightens is bent towards white instead of clipping there.
    """
    expected = grey * shading.tint + np.float32(2)
    ratio = np.clip((old + np.float32(2)) / expected, 0.75, 1.33)
    shift = new * ((ratio - 1) * shading.residual)
    room = 255 - new
    bent = shift * room / np.maximum(room + np.maximum(shift, 0), 1)
    return np.asarray(cv2.convertScaleAbs(new + np.where(shift > 0, bent, shift)), np.uint8)


def _samples(pixels: Pixels, alpha: Alpha) -> NDArray[np.uint8]:
    """(n, 3) pixels of the surface on a regular grid, n about 20,000; (0, 3) where alpha is 0."""
    for least in (_SURE, 1):
        count = cv2.countNonZero(cv2.inRange(alpha, least, 255))
        if count:
            step = max(1, math.isqrt(count // _SAMPLES))
            taken = pixels[::step, ::step][alpha[::step, ::step] >= least]
            return taken if len(taken) else pixels[alpha >= least]
    return pixels[:0, 0]


def _smooth_light(pixels: Pixels, alpha: Alpha) -> Floats:
    """(h, w) grey of the surface without its grain, from the surface's own pixels only."""
    small = cv2.cvtColor(shrink(pixels, _BASE), cv2.COLOR_RGB2GRAY)
    grey = np.asarray(small, np.float32)
    inside = (shrink(alpha, _BASE) > 200).astype(np.float32)
    weight = _box(_box(inside))
    mean = _box(_box(grey * inside)) / np.maximum(weight, 1e-3)
    return np.where(weight > 1e-3, mean, grey)


def _box(values: Floats) -> Floats:
    side = 2 * _BASE_RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side)), np.float32)


def _report(rule: Recolor, painted: NDArray[np.uint8]) -> RecolorReport:
    red, green, blue = (round(float(v)) for v in np.median(painted, 0))
    both = np.array((rule.rgb, (red, green, blue))) / 255
    asked, reached = linear_to_cielab(srgb_to_linear(both))
    return RecolorReport(rule.rgb, (red, green, blue), float(delta_e_2000(asked, reached)))
