"""STUB BY THE LEAD so that imports work: the owner (task removal) overwrites this file."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from gpu_handler.backends.base import Canvas, Cover, FillBrush
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.inpainting.base import Inpainter


class RemovalReport(Struct, frozen=True):
    hosts: tuple[str, ...]
    hole_share: float
    basic_fill: bool = False
    reason: str = ""


class Removal(Struct, frozen=True, eq=False):
    hole: Alpha
    brush: FillBrush
    report: RemovalReport


def plan_removal(
    canvas: Canvas,
    removed: Cover,
    hosts: Mapping[str, Cover],
    avoid: Sequence[Cover],
    photo: Pixels,
    inpainter: Inpainter | None = None,
) -> tuple[Removal, ...]:
    return ()
