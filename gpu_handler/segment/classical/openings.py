"""Windows and doors: straight-sided places in a wall, told apart by light and by where they end."""

import cv2
import numpy as np

from gpu_handler.segment.classical.room import Room
from gpu_handler.segment.classical.scene import Region, Scene
from gpu_handler.segment.classical.shapes import (
    Floats,
    Mask,
    Outline,
    closed,
    filled,
    grown,
    opened,
    otsu,
    outlines,
    straightness,
)
from gpu_handler.segment.classical.view import View

_LEAST = 0.006  # of the picture
_PANES = 0.72  # of a window with its frame that the panes make up at least
_STRAIGHT = 0.86  # of its quadrilateral that a four-sided thing fills


def find_windows(view: View, room: Room) -> list[Mask]:
    """Straight-sided places in or beside the walls that are lit from behind, frames left out."""
    if not room.wall.any():
        return []
    taken = room.wall | room.ceiling | room.floor
    wall = float(np.median(view.lab[..., 0][room.wall]))
    bright = closed((view.lab[..., 0] > max(64.0, wall + 10)) & ~taken, 9)
    found: list[Mask] = []
    # A hole is the window and its frame; a bright place may be cut by what stands before it.
    places = [(o, _PANES) for o in outlines(opened(~taken, 5))]
    places += [(o, 0.5) for o in outlines(opened(bright, 5))]
    for outline, least in places:
        panes = _panes(view, outline, taken, wall, least)
        if panes is not None and not any((panes & other).any() for other in found):
            found.append(panes)
    return found


def _panes(view: View, outline: Outline, taken: Mask, wall: float, least: float) -> Mask | None:
    """The lit part of what `outline` encloses, or None where that is no window.

    All of it, where the lit part is no straight-sided piece of at least the share `least`.
    """
    if cv2.contourArea(outline) < _LEAST * taken.size or straightness(outline) < _STRAIGHT:
        return None
    inside = filled(view.shape, [outline]) & ~taken
    light = view.lab[..., 0]
    if not inside.any() or not _lit(light[inside], wall):
        return None
    level = otsu(light[inside])
    lit = outlines(closed(inside & (light > level), 9))
    largest = max(lit, key=cv2.contourArea)
    hull = filled(view.shape, [np.asarray(cv2.convexHull(largest), np.int32)]) & inside
    framed = straightness(largest) > _STRAIGHT and hull.sum() > least * inside.sum()
    panes = hull if framed else inside
    return panes if _beside(panes, taken) and _above_floor(panes) else None


def _beside(mask: Mask, taken: Mask) -> bool:
    """Whether a surface begins a frame's width away on nearly all sides."""
    ring = grown(mask, 12) & ~grown(mask, 8)
    return bool((ring & taken).sum() > 0.6 * ring.sum())


def _above_floor(mask: Mask) -> bool:
    return not mask[round(0.8 * mask.shape[0]) :].any()


def _lit(light: Floats, wall: float) -> bool:
    brighter = float(np.median(light)) > float(np.clip(wall + 12, 75, 88))
    return brighter or float((light > 85).mean()) > 0.45


def doors(scene: Scene, room: Room) -> list[Mask]:
    """Plain, tall, straight-sided regions in a wall that stand on the floor."""
    taken = room.wall | room.ceiling | room.floor
    floor = grown(room.floor, 7)
    h, w = scene.view.shape
    found: list[Mask] = []
    for r in scene.regions:
        if not _tall_and_plain(r, h / w):
            continue
        mask = scene.mask({r.index}) & ~taken
        if mask.sum() < 0.9 * r.area * h * w:
            continue
        outline = max(outlines(mask), key=cv2.contourArea)
        if not (grown(mask, 9) & room.wall).any():
            continue
        on_floor = (floor & mask).sum() > 0.4 * (r.box[2] - r.box[0]) * w
        if on_floor and straightness(outline) > _STRAIGHT:
            found.append(filled(scene.view.shape, [outline]) & ~taken)
    return found


def _tall_and_plain(r: Region, aspect: float) -> bool:
    wide, high = r.box[2] - r.box[0], r.box[3] - r.box[1]
    tall = (
        high > 0.25
        and high * aspect > 1.3 * wide
        and 0.04 < r.box[1] < 0.5
        and r.sides[1] + r.sides[3] == 0
    )
    return tall and r.area > 0.012 and r.texture < 3 and r.girth > 0.02
