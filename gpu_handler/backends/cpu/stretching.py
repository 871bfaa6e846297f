"""Bilinear positions, worked out once for each row and column."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.compiled import compiled

Index = NDArray[np.int32]
Weights = NDArray[np.float32]


class Axis(Struct, frozen=True, eq=False):
    """For each pixel of a side the cell before it, the one after, and the share of the latter."""

    before: Index
    after: Index
    weight: Weights


def axis(full: int, cells: int) -> Axis:
    """Cells stretched over pixels, centres aligned, edges repeated."""
    place = (np.arange(full) + 0.5) * (cells / full) - 0.5
    place = np.clip(place, 0, cells - 1)
    before = np.floor(place).astype(np.int32)
    return Axis(before, np.minimum(before + 1, cells - 1), (place - before).astype(np.float32))


def spans(before: Index) -> Index:
    """(n, 2): the runs of pixels [start, end) that lie between the same two cells."""
    cuts = np.flatnonzero(np.diff(before)) + 1
    return np.stack((np.r_[0, cuts], np.r_[cuts, len(before)]), -1).astype(np.int32)


@compiled
def mix_rows(
    small: NDArray[np.float32], row: NDArray[np.float32], before: int, after: int, weight: float
) -> None:
    """One row (w, c) between two rows of `small` (h, w, c)."""
    for x in range(small.shape[1]):
        for c in range(small.shape[2]):
            first = small[before, x, c]
            row[x, c] = first + (small[after, x, c] - first) * weight
