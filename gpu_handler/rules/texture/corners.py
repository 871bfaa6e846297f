"""Walls told from their outline: which faces which way, how far away, and where they meet.

Seen from the camera, an upright wall goes from the floor below to the ceiling above it. At the
azimuth a (right over depth) a facing wall is `1 / near` metres deep, a side wall at the distance x
is x / |a| deep. So with the camera known, the upper and lower edge of a mask tell them: the nearest
of the walls where one stands in a room, the farthest of the faces where one looks at a cupboard
from outside. Furniture hides a wall and pictures end at their frame, so an edge may lie inside of
what is expected, but hardly outside.
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.rules.texture.builds import Build
from gpu_handler.rules.texture.camera import Camera
from gpu_handler.rules.texture.outline import Outline

Values = NDArray[np.floating[Any]]

_COLUMNS = 80
_OUTSIDE = 5.0  # what an edge outside of the walls costs at most; one inside costs 1 at most
_SLACK = 0.3  # and for each focal length more that is hidden, behind things or by the frame
_SIDE_WALL = 0.015  # cost of each side wall: a corner has to explain something
_LID = 0.4  # weight of the upper edge of a box: it may be that of its far side
_COARSE, _FINE = 0.03, 0.01  # tolerance, in focal lengths
_NEARS = np.geomspace(0.03, 1.8, 44)
_AZIMUTHS = np.concatenate(((1e6,), np.geomspace(0.04, 1.6, 28)))  # first: no side wall
_KEPT = 8  # candidates that are refined
# Steps of (near, left, right, top): the facing wall with the side walls staying, with all edges
# of the ceiling staying, all of the room, each corner, the ceiling.
_MOVES = np.array(
    ((1, 1, 1, 0), (1, 0, 0, -1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
)


class Walls(Struct, frozen=True):
    """The facing wall is 1 / `near` metres away. It meets the side walls at the azimuths -`left`
    and `right` (right over depth), None where there is none. `outside`: they are the faces of a box
    seen from outside. `fit`: the share 0..1 of the mask's visible edges that this explains.
    """

    near: float
    left: float | None
    right: float | None
    outside: bool
    fit: float


class _Edges(Struct, frozen=True, eq=False):
    """Points of the outline, all (n,): their azimuth; how far above the camera the upper ones are
    and how far below it the lower ones, over their depth; whether the picture cuts there."""

    azimuth: Values
    reach: Values
    cut: NDArray[np.bool_]
    top: NDArray[np.bool_]
    weight: Values

    @property
    def total(self) -> float:
        return float(self.weight.sum())

    def only(self, chosen: NDArray[np.bool_]) -> "_Edges":
        azimuth, reach, weight = (v[chosen] for v in (self.azimuth, self.reach, self.weight))
        return _Edges(azimuth, reach, self.cut[chosen], self.top[chosen], weight)


def find_walls(mask: Outline, camera: Camera, build: Build) -> Walls | None:
    """The walls that a mask shows; None where it has no edge that tells anything."""
    edges = _edges(mask, camera, build)
    if len(edges.azimuth) < 8:
        return None
    best = _polish(edges, _search(edges, build), build)
    near, left, right, _ = (float(v) for v in best)
    miss = np.abs(_excess(edges, best, build))
    seen = ~edges.cut
    return Walls(
        near,
        left if _seen(-edges.azimuth, left, build.outside) else None,
        right if _seen(edges.azimuth, right, build.outside) else None,
        build.outside,
        float(np.mean(miss[seen] < 2 * _FINE)) if seen.any() else 0.0,
    )


def _seen(azimuth: Values, corner: float, outside: bool) -> bool:
    """Whether any of the mask is on the side wall."""
    beyond = (azimuth > 0) & ((azimuth < corner) if outside else (azimuth > corner))
    return corner < 1e5 and bool(beyond.any())


def _edges(mask: Outline, camera: Camera, build: Build) -> _Edges:
    height = mask.inside.shape[0]
    columns = np.flatnonzero(mask.inside.any(0))
    columns = columns[:: max(1, len(columns) // _COLUMNS)]
    part = mask.inside[:, columns]
    first, last = part.argmax(0), height - 1 - part[::-1].argmax(0)
    margin = max(1, height // 150)
    upper, lower = mask.place(columns, first, 0.0), mask.place(columns, last, 1.0)
    pixels, rays = np.concatenate((upper, lower), 1), camera.rays()
    right: Values = rays[0] @ pixels
    down: Values = rays[1] @ pixels
    depth: Values = rays[2] @ pixels
    top = np.arange(len(depth)) < len(columns)
    ahead = depth > 0.15
    depth = np.where(ahead, depth, 1.0)
    return _Edges(
        (right / depth).astype(np.float32),
        (np.where(top, -down, down) / depth).astype(np.float32),
        np.concatenate((first < margin, last >= height - margin)),
        top,
        np.where(top & build.outside, np.float32(_LID), np.float32(1)),
    ).only(ahead)


def _depths(azimuth: Values, states: Values, outside: bool) -> Values:
    """(..., n) one over the depth of the walls at azimuths (n,), for (near, left, right, ...)."""
    near, left, right = (states[..., i, None] for i in range(3))
    side = np.where(azimuth < 0, -azimuth / left, azimuth / right)
    if outside:
        return near * np.where(side < 1e-4, 1.0, np.minimum(1.0, side))
    return near * np.maximum(1.0, side)


def _excess(edges: _Edges, states: Values, build: Build) -> Values:
    """(..., n) by how much the edges lie outside of the walls, in focal lengths, for
    (near, left, right, top)."""
    height = np.where(edges.top, states[..., 3, None], np.float32(build.down))
    return edges.reach - height * _depths(edges.azimuth, states, build.outside)


def _cost(edges: _Edges, excess: Values, tolerance: float) -> Values:
    """(...): the sum over the edges."""
    away = np.abs(excess) / tolerance
    slack = _SLACK * np.minimum(np.abs(excess), 1.0)
    inside = np.where(edges.cut, 0, np.minimum(away, 1.0)) + slack
    return np.where(excess > 0, np.minimum(away, _OUTSIDE), inside) @ edges.weight


def _search(edges: _Edges, build: Build) -> Values:
    """(k, 4) near, left, right and top: the best of a grid. Given top and near, both side walls
    are chosen apart, each by the edges on its side."""
    tops = build.tops()
    near, azimuth = np.meshgrid(_NEARS, _AZIMUTHS, indexing="ij")
    states = np.stack((near, azimuth, azimuth, near), -1).astype(np.float32)
    extra = np.where(_AZIMUTHS > 1e5, 0, _SIDE_WALL)
    costs = np.repeat(build.surprise(tops)[:, None], len(_NEARS), 1)
    chosen: list[NDArray[np.intp]] = []
    for right in (False, True):
        half = edges.only((edges.azimuth >= 0) == right)
        lower, upper = half.only(~half.top), half.only(half.top)
        below = _cost(lower, _excess(lower, states, build), _COARSE)
        deep = _depths(upper.azimuth, states, build.outside)
        above = [_cost(upper, upper.reach - np.float32(t) * deep, _COARSE) for t in tops]
        each = (np.stack(above) + below) / edges.total + extra
        chosen.append(each.argmin(2))
        costs = costs + each.min(2)
    top, best = costs.argmin(0), np.argsort(costs.min(0), kind="stable")[:_KEPT]
    sides = [_AZIMUTHS[index[top[best], best]] for index in chosen]
    return np.stack((_NEARS[best], *sides, tops[top[best]]), 1)


def _polish(edges: _Edges, starts: Values, build: Build) -> Values:
    """The best (near, left, right, top) that ever smaller steps, each kind in turn, lead to."""
    now, steps = starts.copy(), np.arange(-3, 4)

    def cost(states: Values, tolerance: float) -> Values:
        fit = _cost(edges, _excess(edges, states, build), tolerance)
        return fit / edges.total + build.surprise(states[..., 3])

    scales = zip(np.geomspace(_COARSE, _FINE, 8), np.geomspace(0.08, 0.003, 8), strict=True)
    for tolerance, step in scales:
        for move in _MOVES:
            tried = now[:, None] * (1 + step * steps[:, None]) ** move
            costs = cost(tried, float(tolerance))
            costs[:, 3] -= 1e-6  # nothing gained, nothing changed
            now = tried[np.arange(len(now)), costs.argmin(1)]
    return now[int(cost(now, _FINE).argmin())]
