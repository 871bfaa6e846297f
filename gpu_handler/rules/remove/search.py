"""The search through scales: what fills a hole, and where each of its pixels comes from."""

from collections.abc import Iterator

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Floats, Pixels

Marks = NDArray[np.uint8]

_SEED = 0x9E3779B97F4A7C15
_COARSEST = 40  # shortest side of the coarsest level
_FADE = 1.2  # how much less a pixel is trusted with each pixel into the hole
_TURNS = 4


class Scene(Struct, frozen=True, eq=False):
    """What a search works on, all (h, w).

    `pixels` (h, w, 3) uint8 sRGB; `hole` 1 where something is to be put; `label` in 0..7 says whose
    part of the hole it is; `allowed` has bit k set where a pixel of label k may come from, and
    `surface` where what has that label is seen.
    """

    pixels: Pixels
    hole: Marks
    label: Marks
    allowed: Marks
    surface: Marks


class Match(Struct, frozen=True, eq=False):
    """`colours` (h, w, 3) uint8: the photo with the hole filled; `source` (h, w, 2) int32: row and
    column that each pixel of the hole comes from, its own elsewhere."""

    colours: Pixels
    source: NDArray[np.int32]


def search(scene: Scene, guess: Pixels | None = None) -> Match:
    """Fill the hole of a scene. With a `guess` of its colours, patches are chosen to fit that, and
    it is the answer's `colours`.

    The hole's labels must each have a place to come from.
    """
    state = np.array([_SEED], np.uint64)
    if guess is not None:
        source = np.full((*scene.hole.shape, 2), -1, np.int32)
        _Level(scene, source, state).match(guess, np.ones(scene.hole.shape, np.float32), 2 * _TURNS)
        return _match(scene, guess, source)
    levels = list(_pyramid(scene))
    source = np.full((*levels[-1].hole.shape, 2), -1, np.int32)
    colours = _Level(levels[-1], source, state).peel()
    for place in range(len(levels) - 2, -1, -1):
        source = _enlarged(source, levels[place].hole.shape)
        level = _Level(levels[place], source, state)
        colours = level.settle(level.copied(), 2 if place else 1)
    return _match(scene, colours, source)


class _Level:
    """One scale. `source` (h, w, 2) is improved in place; where it points nowhere, at random."""

    def __init__(self, scene: Scene, source: NDArray[np.int32], state: NDArray[np.uint64]) -> None:
        # Compiled when it is needed first: most workers never remove anything.
        from gpu_handler.rules.remove.loops import patches

        self.loops = patches
        self.scene, self.source, self.state = scene, source, state
        depth = np.asarray(cv2.distanceTransform(scene.hole, cv2.DIST_L2, 3), np.float32)
        self.trust = np.where(scene.hole > 0, _FADE**-depth, 1).astype(np.float32)
        self.cost = np.zeros(scene.hole.shape, np.float32)
        patches.scatter(scene.hole, scene.label, scene.allowed, source, state)

    def match(self, colours: Pixels, trust: Floats, turns: int, where: Marks | None = None) -> None:
        """Better places for the pixels of the hole, or of a part of it."""
        side = 2 * self.loops.RADIUS + 1
        flags = cv2.BORDER_CONSTANT
        weights = cv2.boxFilter(trust, -1, (side, side), normalize=False, borderType=flags)
        self.loops.improve(
            colours,
            trust,
            np.maximum(np.asarray(weights, np.float32), np.float32(1e-6)),
            self.scene.hole if where is None else where,
            self.scene.label,
            self.scene.allowed,
            self.source,
            self.cost,
            turns,
            self.state,
        )

    def vote(self, colours: Pixels, trust: Floats, where: Marks) -> Pixels:
        voted = colours.copy()
        pixels = self.scene.pixels
        self.loops.vote(pixels, trust, where, self.source, self.cost, voted)
        return voted

    def settle(self, colours: Pixels, rounds: int) -> Pixels:
        """Match and vote in turns."""
        for _ in range(rounds):
            self.match(colours, self.trust, _TURNS)
            colours = self.vote(colours, self.trust, self.scene.hole)
        return colours

    def peel(self) -> Pixels:
        """A first filling, layer by layer from the border inwards: nothing is known inside yet."""
        scene = self.scene
        colours, rest = scene.pixels.copy(), scene.hole.copy()
        known = (1 - scene.hole).astype(np.float32)
        while rest.any():
            layer, rest = _outermost(rest)
            self.match(colours, known, _TURNS, layer)
            colours = self.vote(colours, np.ones_like(known), layer)
            known = np.where(layer > 0, self.trust, known).astype(np.float32)
        return self.settle(colours, 4)

    def copied(self) -> Pixels:
        colours = self.scene.pixels.copy()
        inside = self.scene.hole > 0
        colours[inside] = self.scene.pixels[self.source[inside, 0], self.source[inside, 1]]
        return colours


def _outermost(rest: Marks) -> tuple[Marks, Marks]:
    """The layer along the border, and what is left; everything where there is no border."""
    square = np.ones((3, 3), np.uint8)
    border = cv2.BORDER_CONSTANT
    left = np.asarray(cv2.erode(rest, square, borderType=border, borderValue=1), np.uint8)
    layer = np.asarray(rest & (1 - left), np.uint8)
    return (layer, left) if layer.any() else (rest, np.zeros_like(rest))


def _match(scene: Scene, colours: Pixels, source: NDArray[np.int32]) -> Match:
    own = own_places(scene.hole.shape)
    return Match(colours, np.where(scene.hole[..., None] > 0, source, own).astype(np.int32))


def own_places(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """(h, w, 2): the row and column of each pixel."""
    grid = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    return np.stack(grid, -1).astype(np.int32)


def _pyramid(scene: Scene) -> Iterator[Scene]:
    """The scene, and halves of it, until patches reach across the hole."""
    while True:
        yield scene
        height, width = scene.hole.shape
        depth = float(cv2.distanceTransform(scene.hole, cv2.DIST_L2, 3).max())
        half = ((width + 1) // 2, (height + 1) // 2)
        if depth <= 3 or min(half) < _COARSEST:
            return
        smaller = _halved(scene, half)
        if not _served(smaller):
            return
        scene = smaller


def _halved(scene: Scene, size: tuple[int, int]) -> Scene:
    hole = np.asarray(cv2.resize(scene.hole * 255, size, interpolation=cv2.INTER_AREA)) > 0
    pixels = cv2.resize(scene.pixels, size, interpolation=cv2.INTER_AREA)
    label = cv2.resize(scene.label, size, interpolation=cv2.INTER_NEAREST)
    allowed = np.zeros(hole.shape, np.uint8)
    for k in range(8):
        bit = ((scene.allowed >> k) & 1) * 255
        if bit.any():
            sure = cv2.resize(bit.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
            allowed |= ((np.asarray(sure) == 255) & ~hole).astype(np.uint8) << k
    margin = np.zeros_like(allowed)
    margin[3:-3, 3:-3] = 255
    return Scene(
        np.asarray(pixels, np.uint8),
        hole.astype(np.uint8),
        np.asarray(label, np.uint8),
        allowed & margin,
        np.zeros_like(allowed),  # of no use to the search
    )


def _served(scene: Scene) -> bool:
    """Whether every part of the hole still has places to come from."""
    wanted = np.unique(scene.label[scene.hole > 0])
    return all(np.count_nonzero((scene.allowed >> k) & 1) >= 64 for k in wanted)


def _enlarged(source: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """The same offsets, twice as long, on a grid of `shape`."""
    rows = np.minimum(np.arange(shape[0]) // 2, source.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // 2, source.shape[1] - 1)
    near = source[rows[:, None], columns[None]]
    own = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1)
    return np.ascontiguousarray(own_places(shape) + (near - own) * 2, np.int32)
