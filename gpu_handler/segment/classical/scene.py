"""The regions of a photo, measured: what the rules for rooms and products judge."""

from functools import cached_property

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.segment.classical.cells import Cells, neighbours
from gpu_handler.segment.classical.shapes import Floats, Labels, Mask
from gpu_handler.segment.classical.view import View


class Region(Struct, frozen=True):
    """One region. Places and sizes in 0..1 of the photo, colour in CIELAB.

    `sides` is how much of the photo's top, right, bottom and left border the region covers;
    `girth` the radius of the largest circle in it, in parts of the photo's longer side.
    """

    index: int
    area: float
    color: tuple[float, float, float]
    texture: float
    box: tuple[float, float, float, float]
    center: tuple[float, float]
    sides: tuple[float, float, float, float]
    girth: float

    @property
    def chroma(self) -> float:
        return float(np.hypot(self.color[1], self.color[2]))


class Touch(Struct, frozen=True):
    """A neighbour: the length of the common border in pixels and its mean steepness."""

    index: int
    length: float
    edge: float


class Scene:
    """A view and its regions."""

    def __init__(self, view: View, parts: Cells, labels: Labels) -> None:
        self.view = view
        self.labels = labels
        self._cells = parts

    @cached_property
    def regions(self) -> list[Region]:
        labels, lab = self.labels, self.view.lab
        light, green, blue = (self._means(lab[..., c]) for c in range(3))
        y, x = (np.asarray(place, np.int64) for place in np.indices(labels.shape))
        left, right = self._extent(x)
        top, bottom = self._extent(y)
        cx, cy = (self._means(place / place.shape[i]) for i, place in ((1, x), (0, y)))
        sides = [
            np.bincount(edge, minlength=len(cx)) / len(edge)
            for edge in (labels[0], labels[:, -1], labels[-1], labels[:, 0])
        ]
        rows = zip(
            (self._area / labels.size).tolist(),
            zip(light, green, blue, strict=True),
            self._texture(),
            zip(left, top, right, bottom, strict=True),
            zip(cx, cy, strict=True),
            zip(*(side.tolist() for side in sides), strict=True),
            self._girth(),
            strict=True,
        )
        return [Region(i, *row) for i, row in enumerate(rows)]

    @cached_property
    def _area(self) -> NDArray[np.int64]:
        return np.bincount(self.labels.ravel()).astype(np.int64)

    def _means(self, values: NDArray[np.float32] | NDArray[np.float64]) -> list[float]:
        total = np.bincount(self.labels.ravel(), weights=values.ravel())
        return (total / self._area).tolist()

    def _extent(self, place: NDArray[np.int64]) -> tuple[list[float], list[float]]:
        """The first place of each region and the one after its last, in 0..1."""
        flat, size = self.labels.ravel(), int(place.max()) + 1
        low, high = np.full(len(self._area), size), np.zeros(len(self._area), np.int64)
        np.minimum.at(low, flat, place.ravel())
        np.maximum.at(high, flat, place.ravel() + 1)
        return (low / size).tolist(), (high / size).tolist()

    def _girth(self) -> list[float]:
        inside = (self._lowest == self._highest).astype(np.uint8)
        reach = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3), np.float32)
        widest = np.zeros(len(self._area), np.float32)
        np.maximum.at(widest, self.labels.ravel(), reach.ravel())
        return ((widest + 1) / max(self.labels.shape)).tolist()

    @cached_property
    def _lowest(self) -> Floats:
        numbers = self.labels.astype(np.float32)
        return np.asarray(cv2.erode(numbers, np.ones((3, 3), np.uint8)), np.float32)

    @cached_property
    def _highest(self) -> Floats:
        numbers = self.labels.astype(np.float32)
        return np.asarray(cv2.dilate(numbers, np.ones((3, 3), np.uint8)), np.float32)

    def _texture(self) -> list[float]:
        """Texture of each region away from its rim, where there is such a place."""
        alike = (self._lowest == self._highest).astype(np.uint8)
        inner = np.asarray(cv2.erode(alike, np.ones((7, 7), np.uint8))).ravel() > 0
        flat, n = self.labels.ravel(), len(self._area)
        rough = self.view.texture.ravel()
        count = np.bincount(flat[inner], minlength=n)
        inside = np.bincount(flat[inner], weights=rough[inner], minlength=n) / np.maximum(count, 1)
        whole = np.bincount(flat, weights=rough) / self._area
        return np.where(count >= 12, inside, whole).tolist()

    @cached_property
    def touching(self) -> list[list[Touch]]:
        """The neighbours of each region, in the order of the regions."""
        pairs, length, edge = neighbours(self.labels, self._cells.edges)
        found: list[list[Touch]] = [[] for _ in self.regions]
        rows = zip(pairs.tolist(), length.tolist(), edge.tolist(), strict=True)
        for (a, b), along, steep in rows:
            found[a].append(Touch(b, along, steep))
            found[b].append(Touch(a, along, steep))
        return found

    def mask(self, chosen: set[int]) -> Mask:
        """(h, w) bool: the pixels of the chosen regions."""
        table = np.zeros(len(self.regions), np.bool_)
        table[list(chosen)] = True
        return table[self.labels]
