"""Small pictures stretched over parts of large ones."""

from collections.abc import Iterator

import torch
from msgspec import Struct
from torch import Tensor

STRIP = 1 << 19
"""Pixels worked on at once: up to 140 bytes each are held meanwhile, 70 MB; 340 for a texture."""

Part = tuple[slice, slice]


def strips(part: Part) -> Iterator[Part]:
    """The rows of a part, as many at a time as are worked on at once."""
    rows, columns = part
    count = max(1, STRIP // max(1, columns.stop - columns.start))
    for y in range(rows.start, rows.stop, count):
        yield slice(y, min(y + count, rows.stop)), columns


class Axis(Struct, frozen=True, eq=False):
    """For each pixel of a side the cell before it, the one after, and the share of the latter."""

    before: Tensor
    after: Tensor
    weight: Tensor

    def part(self, pixels: slice) -> "Axis":
        return Axis(self.before[pixels], self.after[pixels], self.weight[pixels])


def axis(full: int, cells: int, device: torch.device) -> Axis:
    place = (torch.arange(full, dtype=torch.float64, device=device) + 0.5) * (cells / full) - 0.5
    place = place.clamp(0, cells - 1)
    before = place.floor().long()
    weight = (place - before).float()
    return Axis(before, (before + 1).clamp(max=cells - 1), weight)


class Stretched:
    """(h, w, C) float32 cells over (H, W) pixels: bilinear, centres aligned, edges repeated."""

    def __init__(self, cells: Tensor, shape: tuple[int, int]) -> None:
        self._cells = cells
        self._down = axis(shape[0], cells.shape[0], cells.device)
        self._across = axis(shape[1], cells.shape[1], cells.device)

    def part(self, part: Part) -> Tensor:
        """(rows, columns, C)."""
        down, across = self._down.part(part[0]), self._across.part(part[1])
        fall = down.weight[:, None, None]
        rows = torch.lerp(self._cells[down.before], self._cells[down.after], fall)
        share = across.weight[None, :, None]
        return torch.lerp(rows[:, across.before], rows[:, across.after], share)


def read(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(..., C) of an (H, W, C) uint8 picture at (x, y) float64, bilinear, clamped to its edges."""
    height, width = image.shape[:2]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor().long(), y.floor().long()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    across, down = (x - left).float()[..., None], (y - top).float()[..., None]
    first = torch.lerp(image[top, left].float(), image[top, right].float(), across)
    second = torch.lerp(image[bottom, left].float(), image[bottom, right].float(), across)
    return torch.lerp(first, second, down)
