"""What has to go with a thing: its soft edge, and the shadow that it throws."""

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.rules.remove.membrane import blurred

Region = NDArray[np.bool_]

MOST_HOLES = 6
"""Filled one by one; what is left, the smallest ones, goes together."""

_EDGE = 0.015  # of a thing's size: its soft edge, and what it reflects on the surface
_REACH = 0.25  # of a thing's size: as far as its shadow is looked for
_DARKER = 0.93  # of the surface's light around: below that it is shade
_SAME_COLOUR = 9.0  # CIELAB chroma difference (8-bit steps) of a shade from its lit surface
_FEATHER = 2.0  # pixels of the small picture over which a hole fades out


def things(removed: Alpha) -> Iterator[Region]:
    """Groups of what is removed, (h, w) each, largest first; neighbours go together."""
    marked = (removed >= 16).astype(np.uint8)
    near = max(3, round(0.02 * max(marked.shape))) | 1
    joined = cv2.dilate(marked, np.ones((near, near), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    groups = [(labels == k) & (marked > 0) for k in range(1, count)]
    groups.sort(key=lambda group: -int(np.count_nonzero(group)))
    yield from groups[:MOST_HOLES]
    if rest := groups[MOST_HOLES:]:
        yield np.logical_or.reduce(rest)


def size_of(thing: Region) -> float:
    """The square root of its area, in pixels."""
    return math.sqrt(np.count_nonzero(thing))


def grown(thing: Region, pixels: Pixels, surface: Region) -> Region:
    """The thing with its edge and its shadow on the `surface` (h, w) around it.

    A shadow is what is connected to the thing, no farther than a quarter of its size, of about the
    same colour as the surface around and darker.
    """
    edge = max(2, round(_EDGE * size_of(thing)))
    core = _dilated(thing, edge)
    reach = max(edge + 2, round(_REACH * size_of(thing)))
    around = _dilated(thing, reach)
    shade = _shade(pixels, surface & ~core, around, reach) & around & surface
    shade = cv2.morphologyEx(shade.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    _, labels = cv2.connectedComponents((shade | core).astype(np.uint8))
    joined = np.isin(labels, np.unique(labels[core])) & (labels > 0)
    return _dilated(joined & shade, 2) & (surface | core) | core


def feathered(hole: Region) -> Alpha:
    """(h, w) 255 in the hole, fading to 0 over a few pixels outside."""
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    fade = np.clip(1 - (np.asarray(distance) - 1) / _FEATHER, 0, 1)
    return np.where(hole, 255, np.rint(fade * 255)).astype(np.uint8)


def _shade(pixels: Pixels, surface: Region, around: Region, reach: int) -> Region:
    smooth = cv2.medianBlur(pixels, 7)
    lab = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB), np.float32)
    # The surface's own light, from farther away than the shadow may reach where there is any.
    far = surface & ~_dilated(around, reach // 2)
    base = far if np.count_nonzero(far) >= 64 else surface
    trend = blurred(lab, base.astype(np.float32), max(3.0, 0.8 * reach))
    darker = lab[..., 0] < _DARKER * trend[..., 0]
    colour = np.hypot(lab[..., 1] - trend[..., 1], lab[..., 2] - trend[..., 2])
    return darker & (colour < _SAME_COLOUR)


def _dilated(region: Region, reach: int) -> Region:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(region.astype(np.uint8), disc)) > 0
