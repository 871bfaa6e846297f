"""Superpixels merged into the regions a person would see: a wall, a carpet, a cushion."""

from heapq import heapify, heappop, heappush

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.segment.classical.cells import Cells
from gpu_handler.segment.classical.shapes import Labels

_STOP = 7.0  # cost above which two regions are two things
_SMALL = 0.0012  # of the picture: smaller regions give way more easily


class Border(Struct):
    """What parts two regions: its length in pixels and its total steepness."""

    length: float
    steep: float


def merge(cells: Cells, edge: float) -> Labels:
    """(h, w) int32 labels, 0.. in the order of the cells, of the merged regions.

    `edge` is how much an edge between two regions counts: 3 keeps the surfaces of a room apart,
    half of it lets a carpet's pile or the boards of a floor grow into one region.
    """
    return _Merger(cells, edge).run()


class _Merger:
    """Joins the two most alike neighbours again and again until none are alike."""

    def __init__(self, cells: Cells, edge: float) -> None:
        self.edge = edge
        self.labels = cells.labels
        n = len(cells.area)
        self.area: list[float] = cells.area.tolist()
        self.color: list[list[float]] = cells.color.tolist()
        self.texture: list[float] = cells.texture.tolist()
        self.parent = list(range(n))
        self.version = [0] * n
        self.small = _SMALL * cells.labels.size
        self.near: list[dict[int, Border]] = [{} for _ in range(n)]
        rows = zip(cells.pairs.tolist(), cells.border.tolist(), cells.edge.tolist(), strict=True)
        for (a, b), length, edge in rows:
            self.near[a][b] = self.near[b][a] = Border(length, length * edge)

    def run(self) -> Labels:
        heap = [
            (self._cost(a, b), a, b, 0, 0)
            for a, near in enumerate(self.near)
            for b in near
            if a < b
        ]
        heapify(heap)
        while heap:
            cost, a, b, seen_a, seen_b = heappop(heap)
            if cost > _STOP:
                break
            if self.version[a] == seen_a and self.version[b] == seen_b:
                self._join(a, b)
                for c in self.near[a]:
                    heappush(heap, (self._cost(a, c), a, c, self.version[a], self.version[c]))
        return self._labels()

    def _cost(self, a: int, b: int) -> float:
        """Colour difference and edge between two regions, eased by the texture they share."""
        (l0, a0, b0), (l1, a1, b1) = self.color[a], self.color[b]
        # Light changes lightness far more than hue, along one wall as across its corner.
        apart = abs(l0 - l1) * 0.5 + (abs(a0 - a1) + abs(b0 - b1)) * 0.8
        border = self.near[a][b]
        edge = border.steep / border.length
        rough = min(self.texture[a], self.texture[b])
        unlike = abs(self.texture[a] - self.texture[b])
        least = min(1.0, min(self.area[a], self.area[b]) / self.small)
        cost = (apart * 0.4 + edge * self.edge + unlike * 0.3 * least) / (1 + rough * 0.22)
        return cost * (0.5 + 0.5 * least)

    def _join(self, a: int, b: int) -> None:
        """Makes `b` part of `a`."""
        whole = self.area[a] + self.area[b]
        share = self.area[b] / whole
        self.color[a] = [
            x + (y - x) * share for x, y in zip(self.color[a], self.color[b], strict=True)
        ]
        self.texture[a] += (self.texture[b] - self.texture[a]) * share
        self.area[a] = whole
        self.parent[b] = a
        self.version[a] += 1
        self.version[b] = -1
        del self.near[a][b]
        del self.near[b][a]
        for c, border in self.near[b].items():
            del self.near[c][b]
            old = self.near[a].get(c)
            both = (
                border
                if old is None
                else Border(old.length + border.length, old.steep + border.steep)
            )
            self.near[a][c] = self.near[c][a] = both
        self.near[b] = {}

    def _labels(self) -> Labels:
        roots: NDArray[np.int64] = np.array(self.parent)
        while not np.array_equal(roots, roots[roots]):
            roots = roots[roots]
        _, compact = np.unique(roots, return_inverse=True)
        return compact.astype(np.int32)[self.labels]
