"""Recolour: a surface in another paint, with its light, shade, grain and highlights."""

import cv2
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from gpu_handler.backends.base import Canvas, Cover, TableBrush
from gpu_handler.imaging.color import delta_e_2000, linear_to_cielab, srgb_to_linear
from gpu_handler.imaging.pixels import Floats
from gpu_handler.rules.shading import shade
from shared.rules import Recolor

_BASE = 256  # longest side at which a surface's smooth light is found
_BASE_RADIUS = 6
_GENTLE = 0.88  # reduction of detail that nobody would see, at half the price
_FAR = 5.0  # CIEDE2000 from which a person sees another colour than the one asked for


class RecolorReport(Struct, frozen=True):
    """The colour asked for and the median that was reached (sRGB), and how far apart they are.

    `delta_e` is CIEDE2000; above 5 the colour is `out_of_reach` in this photo's light: a dark wall
    cannot honestly become white, and a wall mostly in shade has a median darker than its paint.
    """

    asked: tuple[int, int, int]
    reached: tuple[int, int, int]
    delta_e: float
    out_of_reach: bool = False


def plan_recolor(canvas: Canvas, cover: Cover, rule: Recolor) -> TableBrush | None:
    """What paints the surface that `cover` shows in the rule's colour; None where it shows none."""
    surface = canvas.samples(cover)
    if not len(surface):
        return None
    brush = shade(rule.rgb, surface)
    if brush.detail >= _GENTLE:
        return replace(brush, detail=1.0)
    return replace(brush, base=_smooth_light(canvas, cover))


def report_recolor(canvas: Canvas, cover: Cover, rule: Recolor) -> RecolorReport:
    """What came of it, by the picture as it is now."""
    painted = canvas.samples(cover, painted=True)
    red, green, blue = (round(float(v)) for v in np.median(painted, 0))
    both = np.array((rule.rgb, (red, green, blue))) / 255
    asked, reached = linear_to_cielab(srgb_to_linear(both))
    far = round(float(delta_e_2000(asked, reached)), 2)
    return RecolorReport(rule.rgb, (red, green, blue), far, far > _FAR)


def _smooth_light(canvas: Canvas, cover: Cover) -> Floats:
    """(h, w) grey 0..255 of the surface without its grain, from the surface's own pixels only."""
    small = cv2.cvtColor(canvas.small(_BASE), cv2.COLOR_RGB2GRAY)
    grey = np.asarray(small, np.float32)
    inside = np.asarray(canvas.small_cover(cover, _BASE) > 200, np.float32)
    weight = _box(_box(inside))
    mean = _box(_box(grey * inside)) / np.maximum(weight, 1e-3)
    return np.asarray(np.where(weight > 1e-3, mean, grey), np.float32)


def _box(values: NDArray[np.float32]) -> Floats:
    side = 2 * _BASE_RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side)), np.float32)
