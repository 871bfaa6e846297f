"""The order in which instances are numbered: as one reads, and the same every time."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import TypeAlias

Box: TypeAlias = tuple[float, float, float, float]

_ROW = 0.03  # of the photo's height: a gap that parts two rows
_STEP = 0.01  # of the photo: a gap that parts two neighbours, or two sizes


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """Places of `boxes` (x0, y0, x1, y1 in 0..1) in reading order: rows from the top, each from
    the left.

    Another batch moves the last digits of a box and swaps equal scores. So it is gaps between
    centres, not the centres, that decide: rows part where the next centre is more than 0.03 lower,
    neighbours in a row at gaps of 0.01 across, what stands in one column at gaps of 0.01 down,
    and what lies in one spot at gaps of 0.01 in size (the root of the area), the largest first. As
    long as no gap comes to lie on the other side of its limit, boxes may move without any number
    changing. What no gap parts is all but the same, and keeps the order it came in.
    """
    across = [(x0 + x1) / 2 for x0, _, x1, _ in boxes]
    down = [(y0 + y1) / 2 for _, y0, _, y1 in boxes]
    size = [-sqrt((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in boxes]
    groups = [list(range(len(boxes)))]
    for along, gap in ((down, _ROW), (across, _STEP), (down, _STEP), (size, _STEP)):
        groups = [part for group in groups for part in _parted(group, along, gap)]
    return [place for group in groups for place in sorted(group)]


def _parted(group: list[int], along: Sequence[float], gap: float) -> list[list[int]]:
    """`group` in ascending order of `along`, cut wherever the next is more than `gap` further."""
    ordered = sorted(group, key=lambda place: along[place])
    parts = [ordered[:1]]
    for last, place in pairwise(ordered):
        if along[place] - along[last] > gap:
            parts.append([])
        parts[-1].append(place)
    return parts
