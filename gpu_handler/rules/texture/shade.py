"""The light that lies on a surface, without the pattern that the surface has now."""

from enum import Enum

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Alpha, Floats, Pixels, shrink


class Grain(Enum):
    """What is taken for pattern rather than light: (longest side in cells, median's width, blur).

    The median drops what is narrower than half of its width.
    """

    JOINTS = (320, 9, 1.5)  # plank gaps, joints, weave: floors, walls, ceilings
    NOISE = (640, 3, 0.8)  # nothing but noise: panels of doors and folds of cloth are relief


_CONTRAST = 0.9  # exponent on the light: what is around lights the new surface too
_DARKEST, _BRIGHTEST = 0.12, 1.45


class Shade(Struct, frozen=True, eq=False):
    """`factors` (h, w) float32 on encoded values, 1 where the surface is as light as the luma
    `reference`, 4..255."""

    factors: Floats
    reference: float


def shade(picture: Pixels, cover: Alpha, grain: Grain, anchor: float = 0.5) -> Shade:
    """The light on what `cover` shows; `anchor` (0..1) is the reference's quantile of it.

    From the surface's own pixels only; outside it goes on as at the nearest of them, so that
    shadows at its edge keep their depth. Even light for an empty cover.
    """
    side, median, blur = grain.value
    grey = np.asarray(cv2.cvtColor(shrink(picture, side), cv2.COLOR_RGB2GRAY), np.uint8)
    inside = _own(shrink(cover, side))
    if not inside.any():
        return Shade(np.ones(grey.shape, np.float32), 128.0)
    smooth = cv2.medianBlur(_spread(grey, inside), median)
    light = cv2.GaussianBlur(np.asarray(smooth, np.float32), (0, 0), blur)
    light = np.maximum(np.asarray(light, np.float32), np.float32(1))
    reference = max(float(np.quantile(light[inside], anchor)), 4.0)
    factors = np.clip((light / np.float32(reference)) ** _CONTRAST, _DARKEST, _BRIGHTEST)
    return Shade(factors.astype(np.float32), reference)


def _own(cover: Alpha) -> NDArray[np.bool_]:
    """Cells that show nothing but the surface; what there is of it where there is none."""
    for least in (250, 128, 1):
        if (cover >= least).any():
            return cover >= least
    return np.zeros(cover.shape, np.bool_)


def _spread(grey: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Each cell outside with the value of the nearest one inside."""
    if inside.all():
        return grey
    outside = np.where(inside, np.uint8(0), np.uint8(255))
    found = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(found[1], np.int32)
    values = np.zeros(int(labels.max()) + 1, np.uint8)
    values[labels[inside]] = grey[inside]
    return values[labels]
