"""Covers on the CPU, and the arithmetic between them."""

from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.compiled import compiled
from gpu_handler.imaging.pixels import Alpha


class CpuCover:
    """An (H, W) uint8 array that nobody writes to any more."""

    def __init__(self, alpha: Alpha) -> None:
        self.alpha = alpha

    def host(self) -> Alpha:
        return self.alpha

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        """(H, 2): of each row the columns [first, end) outside of which it is 0."""
        return _occupied(self.alpha)


def union(alphas: Sequence[Alpha]) -> Alpha:
    out = alphas[0]
    for alpha in alphas[1:]:
        out = np.maximum(out, alpha)
    return out


def spared(alpha: Alpha, shield: Alpha) -> Alpha:
    out = np.empty_like(alpha)
    _spare(alpha, shield, out)
    return out


def divided(alphas: Sequence[Alpha]) -> list[Alpha]:
    """Shares, the last cover first; `taken` is what later ones have."""
    taken = np.zeros_like(alphas[0])
    shares: list[Alpha] = []
    for alpha in reversed(alphas):
        share = np.empty_like(alpha)
        _divide(alpha, taken, share)
        shares.append(share)
    return shares[::-1]


def most(alpha: Alpha, least: int) -> int:
    """How many pixels are `least` or more."""
    return cv2.countNonZero(cv2.inRange(alpha, least, 255))


@compiled
def _occupied(alpha: Alpha) -> NDArray[np.int32]:
    rows = np.zeros((alpha.shape[0], 2), np.int32)
    for y in range(alpha.shape[0]):
        first, end = 0, alpha.shape[1]
        while first < end and alpha[y, first] == 0:
            first += 1
        while end > first and alpha[y, end - 1] == 0:
            end -= 1
        rows[y, 0], rows[y, 1] = first, end
    return rows


@compiled
def _spare(alpha: Alpha, shield: Alpha, out: Alpha) -> None:
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            keep = max(0, 255 - 2 * np.int32(shield[y, x]))
            out[y, x] = (2 * np.int32(alpha[y, x]) * keep + 255) // 510


@compiled
def _divide(alpha: Alpha, taken: Alpha, share: Alpha) -> None:
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            cover = np.int32(alpha[y, x])
            if cover == 0:
                share[y, x] = 0
                continue
            room = 255 - np.int32(taken[y, x])
            weight = min(cover, room)
            if room == 255:
                share[y, x] = cover
            else:
                share[y, x] = (510 * weight + room) // (2 * room) if room else 0
            taken[y, x] += weight
