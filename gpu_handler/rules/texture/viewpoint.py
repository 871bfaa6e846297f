"""Where a photo was taken from: the upright camera that explains most of its straight lines.

Rooms are built at right angles ("Manhattan world", J. Coughlan and A. Yuille, 1999), so all three
vanishing points are looked for together, as three angles and a focal length. Where the lines do
not tell one of them (a photo along one wall says little of the focal length), what is usual does.
Everything is searched on a fixed grid and then refined: the same lines, the same camera.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.rules.texture.camera import USUAL_FOCAL, Camera, Matrix, turned
from gpu_handler.rules.texture.segments import Segments

Values = NDArray[np.floating[Any]]

_COARSE = math.radians(3.0)  # how far a line may point past its vanishing point, in the search
_FINE = math.radians(0.8)  # and in the end
_FOCALS = tuple(USUAL_FOCAL * v for v in (0.62, 0.8, 1.0, 1.3, 1.8))
_PITCHES = tuple(np.radians(v) for v in range(-40, 41, 5))
_YAWS = tuple(np.radians(v) for v in range(-45, 45, 3))
_SEARCHED = 140  # longest segments that the search looks at
_KEPT = 6  # candidates that are refined
_TOLERANCES = tuple(_COARSE * (_FINE / _COARSE) ** (i / 11) for i in range(12))
# What is usual, as (middle, deviation) of log focal, yaw, pitch and roll, and its weight against
# the share of lines that is explained.
_USUAL = np.array(((np.log(USUAL_FOCAL), 0.3), (0, 2.0), (-0.03, 0.25), (0, 0.05)))
_HABIT = 0.01
_BOUNDS = np.array(((np.log(0.3), np.log(3.0)), (-1.0, 1.0), (-0.9, 0.9), (-0.35, 0.35)))


class Sighting(Struct, frozen=True):
    """A camera and the share 0..1 of the photo's level lines (by length) that it explains."""

    camera: Camera
    support: float


def find_camera(segments: Segments, shape: tuple[int, int]) -> Sighting:
    """The camera of a photo (H, W); the usual one, without support, where there are no lines."""
    if len(segments.starts) < 4:
        return Sighting(Camera(shape), 0.0)
    best = max((_refine(segments, start) for start in _search(segments)), key=lambda f: f[1])[0]
    focal, yaw, pitch, roll = (float(v) for v in best)
    quarter = np.pi / 2
    yaw = (yaw + quarter / 2) % quarter - quarter / 2  # the depth is the axis that faces us most
    camera = Camera(shape, float(np.exp(focal)), float(yaw), pitch, roll)
    return Sighting(camera, _support(segments, camera))


def _search(segments: Segments) -> Sequence[Values]:
    """The best of a grid of cameras, as (log focal, yaw, pitch, roll)."""
    grid, points, habit = _grid()
    longest = Segments(
        segments.starts[:_SEARCHED].astype(np.float32), segments.ends[:_SEARCHED].astype(np.float32)
    )
    weights = longest.lengths / longest.lengths.sum()
    miss = np.abs(_misses(longest, points)).reshape(len(grid), 3, -1).min(1)
    fit = np.maximum(0, 1 - (miss / np.float32(_COARSE)) ** 2) @ weights - habit
    chosen: list[Values] = []
    for index in np.argsort(-fit, kind="stable")[:200]:
        if all(np.abs(grid[index, 1:3] - c[1:3]).max() > 0.12 for c in chosen):
            chosen.append(grid[index])
        if len(chosen) == _KEPT:
            break
    return chosen


@cache
def _grid() -> tuple[Values, Values, Values]:
    """The cameras (k, 4) that are tried, their vanishing points (3 * k, 3) and how unusual."""
    grid = np.array([(np.log(f), y, p, 0.0) for f, p, y in product(_FOCALS, _PITCHES, _YAWS)])
    return grid, _points(grid).reshape(-1, 3).astype(np.float32), _habit(grid)


def _refine(segments: Segments, start: Values) -> tuple[Values, float]:
    """Weighted least squares over the lines that fit, fewer and fewer of them, and the score."""
    state: Values = start.copy()
    weights = segments.lengths / segments.lengths.sum()
    for tolerance in _TOLERANCES:
        tried = np.concatenate([state[None], state + 1e-4 * np.eye(4)])
        miss = _misses(segments, _points(tried).reshape(-1, 3)).reshape(5, 3, -1)
        axis = np.abs(miss[0]).argmin(0)
        miss = miss[:, axis, np.arange(len(weights))]
        slope: Values = (miss[1:] - miss[0]).T / 1e-4
        trust: Values = weights / (1 + (miss[0] / tolerance) ** 2) ** 2 / tolerance**2
        pull = _HABIT / _USUAL[:, 1] ** 2
        normal: Values = (slope.T * trust) @ slope + np.diag(pull + 1e-9)
        force: Values = (slope.T * trust) @ miss[0] + pull * (state - _USUAL[:, 0])
        step: Values = np.clip(np.linalg.solve(normal, force), -0.15, 0.15)
        state = np.clip(state - step, _BOUNDS[:, 0], _BOUNDS[:, 1])
    miss = np.abs(_misses(segments, _points(state[None])[0])).min(0)
    score = (1 / (1 + (miss / _FINE) ** 2)) @ weights - _habit(state[None])[0]
    return state, float(score)


def _support(segments: Segments, camera: Camera) -> float:
    """Of the lines that are not upright: those that point to one of the level vanishing points."""
    state = np.array(((np.log(camera.focal), camera.yaw, camera.pitch, camera.roll),))
    miss = np.abs(_misses(segments, _points(state)[0]))
    upright = (miss[1] < 2 * _FINE) & (miss[1] < miss[[0, 2]].min(0))
    level = np.maximum(0, 1 - (miss[[0, 2]].min(0) / (2.5 * _FINE)) ** 2)
    lengths = np.where(upright, 0, segments.lengths)
    return float((lengths @ level) / lengths.sum()) if lengths.sum() > 0.3 else 0.0


def _habit(states: Values) -> Values:
    """(k,) how far from usual; the yaw counts for nothing."""
    away = ((states - _USUAL[:, 0]) / _USUAL[:, 1])[:, (0, 2, 3)]
    return _HABIT * (away**2).sum(1)


def _points(states: Values) -> Matrix:
    """(k, 3, 3) homogeneous vanishing points of right, down and depth, in `Segments` units."""
    axes = np.stack([turned(*state[1:]) for state in states])
    axes[..., :2] *= np.exp(states[:, 0])[:, None, None]
    return axes


def _misses(segments: Segments, points: Values) -> Values:
    """(m, n) sines of the angles between the segments and the lines from their middles to points
    (m, 3)."""
    x, y = segments.middles.T
    dx, dy = segments.directions.T
    px, py, pw = (points[:, i, None] for i in range(3))
    tx, ty = px - pw * x, py - pw * y
    return (tx * dy - ty * dx) / np.sqrt(tx * tx + ty * ty + 1e-12)
