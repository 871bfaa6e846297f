"""Superpixels: a few thousand small patches whose borders follow the photo's edges."""

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.segment.classical.shapes import Floats, Labels, pieces
from gpu_handler.segment.classical.view import View

_STEP = 12  # side of the lattice that cuts large flat patches, in working pixels
_FLAT = 1.6  # CIELAB units per pixel below which a pixel lies inside a patch
_LINE_EDGE = 3.0  # a long straight line counts as at least this steep
_LIKELY_EDGE = 2.0  # so does its likely continuation
_EXTEND = 0.1  # of the diagonal
_CORNER = 0.035  # of the diagonal


class Cells(Struct, frozen=True, eq=False):
    """`labels` (h, w) int32 in 0..n-1; per cell its area, colour and texture; per pair of
    neighbours (`pairs`, (m, 2)) the length of their border and how steep the photo is along it.
    `edges` (h, w) is the steepness with long straight lines drawn in.
    """

    labels: Labels
    area: Floats
    color: Floats
    texture: Floats
    pairs: Labels
    border: Floats
    edge: Floats
    edges: Floats


def cells(view: View) -> Cells:
    edges = _edges(view)
    labels = _flood(view, edges)
    n = int(labels.max()) + 1
    flat = labels.ravel()
    area = np.bincount(flat, minlength=n)
    color = np.stack([_mean(flat, view.lab[..., c], area) for c in range(3)], axis=1)
    pairs, border, edge = neighbours(labels, edges)
    return Cells(
        labels,
        area.astype(np.float32),
        color,
        _mean(flat, view.texture, area),
        pairs,
        border,
        edge,
        edges,
    )


def _edges(view: View) -> Floats:
    edges = view.gradient.copy()
    lines = view.lines.tolist()
    drawn_on = [_extended(line, view.shape) for line in lines]
    _raise(edges, drawn_on + _bridges(lines, view.shape), _LIKELY_EDGE)
    _raise(edges, lines, _LINE_EDGE)
    return edges


def _raise(edges: Floats, lines: list[list[float]], least: float) -> None:
    drawn = np.zeros(edges.shape, np.uint8)
    for x0, y0, x1, y1 in lines:
        cv2.line(drawn, (round(x0), round(y0)), (round(x1), round(y1)), (255.0,), 1)
    edges[drawn > 0] = np.maximum(edges[drawn > 0], least)


def _extended(line: list[float], shape: tuple[int, int]) -> list[float]:
    """A line drawn on to the photo's border where that is near: creases fade in the corners."""
    ends = np.array(line).reshape(2, 2)
    along = (ends[1] - ends[0]) / max(1e-6, float(np.hypot(*(ends[1] - ends[0]))))
    reach = _EXTEND * float(np.hypot(*shape))
    size = np.array(shape[::-1])
    for i, way in ((0, -along), (1, along)):
        far = ends[i] + way * reach
        if (far < 0).any() or (far >= size).any():
            ends[i] = far
    return ends.ravel().tolist()


def _bridges(lines: list[list[float]], shape: tuple[int, int]) -> list[list[float]]:
    """What closes the corner between two lines that end close to each other."""
    ends = np.array(lines).reshape(-1, 2)
    apart = np.hypot(*(ends[:, None] - ends[None]).transpose(2, 0, 1))
    near = (apart > 2) & (apart < _CORNER * float(np.hypot(*shape)))
    pairs = np.argwhere(np.triu(near))
    return [[*ends[i].tolist(), *ends[j].tolist()] for i, j in pairs.tolist()]


def _flood(view: View, edges: Floats) -> Labels:
    """Flat patches, cut by a lattice, grown until they meet."""
    flat = edges < _FLAT
    flat[::_STEP] = False
    flat[:, ::_STEP] = False
    seeds, area = pieces(flat)
    markers = np.where(area[seeds] < 4, 0, seeds).astype(np.int32)
    if not markers.any():
        return np.zeros(view.shape, np.int32)
    steep = np.clip(edges * 12, 0, 255).astype(np.uint8)
    flooded = np.asarray(cv2.watershed(cv2.merge([steep, steep, steep]), markers), np.int32)
    flooded = _close(np.maximum(flooded, 0), view.lab)
    _, compact = np.unique(flooded, return_inverse=True)
    return compact.reshape(view.shape).astype(np.int32)


def _close(labels: Labels, lab: Floats) -> Labels:
    """Gives each unlabelled pixel to the neighbour with the closest colour."""
    for _ in range(4):
        empty = labels == 0
        if not empty.any():
            break
        best = np.full(labels.shape, np.inf, np.float32)
        grown = labels.copy()
        for axis, by in ((0, 1), (0, -1), (1, 1), (1, -1)):
            near = np.roll(labels, by, axis)
            far = np.abs(lab - np.roll(lab, by, axis)).sum(axis=2)
            take = empty & (near > 0) & (far < best)
            grown[take] = near[take]
            best[take] = far[take]
        labels = grown
    return labels


def _mean(flat: Labels, values: Floats, area: NDArray[np.intp]) -> Floats:
    total = np.bincount(flat, weights=values.ravel(), minlength=len(area))
    return (total / np.maximum(area, 1)).astype(np.float32)


def neighbours(labels: Labels, edges: Floats) -> tuple[Labels, Floats, Floats]:
    """Each pair of cells that touch, their border's length and its mean steepness."""
    first: list[Labels] = []
    second: list[Labels] = []
    steep: list[Floats] = []
    for a, b, e, f in (
        (labels[:, :-1], labels[:, 1:], edges[:, :-1], edges[:, 1:]),
        (labels[:-1], labels[1:], edges[:-1], edges[1:]),
    ):
        differ = a != b
        first.append(np.minimum(a, b)[differ])
        second.append(np.maximum(a, b)[differ])
        steep.append(np.maximum(e, f)[differ])
    n = int(labels.max()) + 1
    code = np.concatenate(first).astype(np.int64) * n + np.concatenate(second)
    pair, where = np.unique(code, return_inverse=True)
    length = np.bincount(where, minlength=len(pair)).astype(np.float32)
    mean = np.bincount(where, weights=np.concatenate(steep), minlength=len(pair)) / length
    pairs = np.stack([pair // n, pair % n], axis=1).astype(np.int32)
    return pairs, length, mean.astype(np.float32)
