"""Small things that belong to the surfaces: skirting, door frames, ceiling lamps."""

import numpy as np
from numpy.typing import NDArray

from gpu_handler.segment.classical.room import Room
from gpu_handler.segment.classical.scene import Region, Scene
from gpu_handler.segment.classical.shapes import Mask, grown

_THIN = 0.018  # radius in parts of the longer side
_GLOW = 88.0  # units of L
_BESIDE = 6  # pixels from a surface that still count as beside it


def trim(scene: Scene, room: Room, windows: list[Mask]) -> list[Mask]:
    """Long light bands beside a wall; one mask for each, none of it in a surface or window."""
    if not room.wall.any():
        return []
    nothing = np.zeros(scene.view.shape, np.bool_)
    taken = np.logical_or.reduce([nothing, room.wall, room.ceiling, room.floor, *windows])
    free, beside = 1 - _shares(scene, taken), _shares(scene, grown(room.wall, _BESIDE))
    above = _shares(scene, grown(room.ceiling, _BESIDE))
    lightest = max(70.0, float(np.median(scene.view.lab[..., 0][room.wall])))
    return [
        scene.mask({r.index}) & ~taken
        for r in scene.regions
        if _band(r)
        and r.color[0] > lightest
        and free[r.index] > 0.5
        and beside[r.index] > 0.3
        and above[r.index] < 0.3
    ]


def lamps(scene: Scene, room: Room, windows: list[Mask]) -> list[Mask]:
    """Compact glowing things at the ceiling."""
    if not room.ceiling.any():
        return []
    nothing = np.zeros(scene.view.shape, np.bool_)
    taken = np.logical_or.reduce([nothing, room.wall, room.ceiling, room.floor, *windows])
    free, beside = 1 - _shares(scene, taken), _shares(scene, grown(room.ceiling, _BESIDE))
    return [
        scene.mask({r.index}) & ~taken
        for r in scene.regions
        if _lamp(r) and free[r.index] > 0.8 and beside[r.index] > 0.15
    ]


def _band(r: Region) -> bool:
    long = float(np.hypot(r.box[2] - r.box[0], r.box[3] - r.box[1]))
    return r.girth < _THIN and long > 0.08 and long > 8 * r.girth and r.chroma < 18


def _lamp(r: Region) -> bool:
    filled = r.area / ((r.box[2] - r.box[0]) * (r.box[3] - r.box[1]))
    compact = filled > 0.6 and 0.0006 < r.area < 0.03 and r.girth > 0.008
    return compact and r.color[0] > _GLOW and r.chroma < 30


def _shares(scene: Scene, mask: Mask) -> NDArray[np.float64]:
    """How much of each region lies in a mask."""
    n, flat = len(scene.regions), scene.labels.ravel()
    return np.bincount(flat, weights=mask.ravel(), minlength=n) / np.bincount(flat, minlength=n)
