"""How pieces are laid: which piece each texel is on, where on it, and how far from its edges."""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.color import Array
from gpu_handler.rules.texture.materials.noise import Chance, grid, step

Index = NDArray[np.int64]


class Bond(Struct, frozen=True, eq=False):
    """All (n, n). `piece` numbers pieces from 0, `count` of them.

    In texels: `along`, `across` from the piece's corner along its length and its width; `edge` to
    its nearest edge; `below` to its lower or right edge, which lie in shade.
    """

    piece: Index
    count: int
    along: Array
    across: Array
    edge: Array
    below: Array

    def on_piece(self, joint: float) -> Array:
        """1 on pieces and 0 in joints of that width in texels, smooth over one texel."""
        return step(joint / 2 - 0.5, joint / 2 + 0.7, self.edge)

    def bevel(self, joint: float, width: float, depth: float) -> Array:
        """How the rounded edges of pieces are lit from above: brighter above, darker below."""
        inside = self.edge - joint / 2
        rim = np.exp(-np.maximum(inside, 0) / max(width, 0.3))
        lower = self.below - joint / 2 <= inside + 0.5
        return np.asarray(1 + depth * rim * np.where(lower, -1.0, 0.5), np.float32)


def rows(n: int, count: int, starts: list[list[float]]) -> Bond:
    """`count` rows of equal height; `starts[i]` are where the pieces of row i begin, in tiles."""
    y, x = grid(n)
    height = n / count
    row = np.minimum((y / height).astype(np.int64), count - 1)
    across = y - row * height
    piece, along, length = np.zeros((n, n), np.int64), np.zeros_like(x), np.zeros_like(x)
    number = 0
    for r in range(count):
        cuts = sorted(start % 1 for start in starts[r])
        lines = row[:, 0] == r
        place = (x[0] / n - cuts[0]) % 1
        lengths = [(b - a) for a, b in zip(cuts, [*cuts[1:], cuts[0] + 1], strict=True)]
        begins = np.cumsum([0.0, *lengths[:-1]])
        k = np.asarray(np.searchsorted(begins, place, side="right") - 1, np.int64)
        piece[lines] = number + k
        along[lines] = (place - begins[k]) * n
        length[lines] = np.array(lengths)[k] * n
        number += len(cuts)
    side = np.minimum(along, length - along)
    edge = np.minimum(side, np.minimum(across, height - across))
    below = np.minimum(height - across, length - along)
    return Bond(piece, number, along, across, edge.astype(np.float32), below.astype(np.float32))


def running(n: int, count: int, pieces: int, shift: float = 0.5) -> Bond:
    """Rows of equal pieces, each row moved on by `shift` of a piece: `count * shift` is whole."""
    starts = [[(k + (r * shift) % 1) / pieces for k in range(pieces)] for r in range(count)]
    return rows(n, count, starts)


def herringbone(n: int, staves: int) -> Bond:
    """Staves four times as long as wide, `staves` widths to a tile, a multiple of 8."""
    if staves % 8:
        raise ValueError("a herringbone repeats every 8 widths")
    y, x = grid(n)
    width, long = n / staves, 4
    column, line = (x / width).astype(np.int64), (y / width).astype(np.int64)
    turn = (column - line) % (2 * long)
    level = turn < long
    place = np.where(level, turn, 2 * long - 1 - turn)
    head = np.where(level, (column - place) % staves, column)
    first = np.where(level, line, (line - place) % staves)
    number = (first * staves + head) * 2 + level
    _, piece = np.unique(number, return_inverse=True)
    piece = piece.reshape(n, n)
    u, v = x - column * width, y - line * width
    along = np.where(level, u, v) + place * width
    across = np.where(level, v, u)
    ends = np.minimum(along, long * width - along)
    edge = np.minimum(ends, np.minimum(across, width - across))
    below = np.minimum(width - across, long * width - along)
    count = int(piece.max()) + 1
    return Bond(
        piece,
        count,
        along.astype(np.float32),
        across.astype(np.float32),
        edge.astype(np.float32),
        below.astype(np.float32),
    )


def hexagons(n: int, across: int) -> Bond:
    """Hexagons, `across` of them side by side, a little stretched so that the tile closes."""
    y, x = grid(n)
    wide = n / across
    count = 2 * max(1, round(n / (wide * math.sqrt(3) / 2) / 2))
    high = n / count
    best = np.full((n, n), np.inf, np.float32)
    second, piece = best.copy(), np.zeros((n, n), np.int64)
    line = (y / high).astype(np.int64)
    for dy in (-1, 0, 1):
        row = line + dy
        offset = (row % 2) * 0.5
        column = np.rint(x / wide - 0.5 - offset).astype(np.int64)
        for dx in (-1, 0, 1):
            k = column + dx
            distance = np.hypot(x - (k + 0.5 + offset) * wide, (y - (row + 0.5) * high)).astype(
                np.float32
            )
            closer = distance < best
            second = np.where(closer, best, np.minimum(second, distance))
            piece = np.where(closer, (row % count) * across + k % across, piece)
            best = np.minimum(best, distance)
    edge = (second - best) / 2
    return Bond(piece, count * across, best, best, edge, edge)


def jittered(chance: Chance, bond: Bond, spread: float) -> Array:
    """(n, n) one number for each piece, around 1."""
    return 1 + chance.each(bond.count, spread)[bond.piece]
