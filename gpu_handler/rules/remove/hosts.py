"""Which surface goes on behind which part of a hole."""

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Alpha
from gpu_handler.rules.remove.holes import Region, size_of
from gpu_handler.rules.remove.membrane import spread

MOST_HOSTS = 7
UNKNOWN = ""

_SHARE = 0.12  # of what is around a hole: less than that is an accident of masks
_UNKNOWN_SHARE = 0.5  # less are skirting boards, cables, things nobody looked for
_RING = 0.12  # of a hole's size: how far around it is looked


class Backdrop(Struct, frozen=True, eq=False):
    """Who is behind a hole: `names` of surfaces, the most important first, at most 7.

    One of them may be UNKNOWN, what is around and no surface that was found: a rug. `label` (h, w)
    uint8 tells whose part each pixel of the hole is, by its place in `names`.
    """

    names: tuple[str, ...]
    label: NDArray[np.uint8]


def surfaces(usable: Region, hosts: Mapping[str, Alpha]) -> dict[str, Region]:
    """Where each host is seen, and all the rest that may be copied from as UNKNOWN. All (h, w)."""
    seen = {name: usable & (alpha >= 128) for name, alpha in hosts.items()}
    rest = usable.copy()
    for region in seen.values():
        rest &= ~region
    return {**seen, UNKNOWN: rest}


def backdrop(hole: Region, seen: Mapping[str, Region]) -> Backdrop:
    """Who borders the hole, and how they go on behind it; `seen` as `surfaces` gives it."""
    ring = _ring(hole)
    known = {name: region & ring for name, region in seen.items()}
    counts = {name: int(np.count_nonzero(region)) for name, region in known.items()}
    total = sum(counts.values())
    least = {name: _UNKNOWN_SHARE if name == UNKNOWN else _SHARE for name in counts}
    names = [name for name in counts if counts[name] > max(8, least[name] * total)]
    names.sort(key=lambda name: -counts[name])
    names = names[:MOST_HOSTS] or [UNKNOWN]
    label = np.zeros(hole.shape, np.uint8)
    if len(names) > 1:
        label = _divided(hole, [known[name] for name in names])
    return Backdrop(tuple(names), label)


def _ring(hole: Region) -> Region:
    reach = max(3, round(_RING * size_of(hole)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return (np.asarray(cv2.dilate(hole.astype(np.uint8), disc)) > 0) & ~hole


def _divided(hole: Region, regions: Sequence[Region]) -> NDArray[np.uint8]:
    """Where two surfaces meet at both sides of a hole, the straight line between those places;
    else whoever is closer, smoothly."""
    smooth = _nearest(regions)
    if len(regions) == 2 and (line := _line(hole, regions[0], regions[1])) is not None:
        a, b, c = line
        y, x = np.mgrid[0 : hole.shape[0], 0 : hole.shape[1]]
        side = (a * x + b * y + c) > 0
        first, second = regions
        wrong = np.count_nonzero(side & first) + np.count_nonzero(~side & second)
        right = np.count_nonzero(~side & first) + np.count_nonzero(side & second)
        share = max(wrong, right) / max(1, wrong + right)
        if share > 0.85:
            return (side if right >= wrong else ~side).astype(np.uint8)
    return smooth


def _nearest(regions: Sequence[Region]) -> NDArray[np.uint8]:
    claims = np.stack([region.astype(np.float32) for region in regions], -1)
    known = (claims.sum(-1) > 0).astype(np.float32)
    return spread(claims, known).argmax(-1).astype(np.uint8)


def _line(hole: Region, first: Region, second: Region) -> tuple[float, float, float] | None:
    """a, b, c of the line through the two places where both surfaces meet beside the hole."""
    width = max(2, round(0.02 * size_of(hole)))
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    for _ in range(6):  # a skirting board may lie between them
        near = [np.asarray(cv2.dilate(r.astype(np.uint8), square)) > 0 for r in (first, second)]
        meeting = near[0] & near[1] & ~hole
        count, _, stats, centres = cv2.connectedComponentsWithStats(meeting.astype(np.uint8))
        if count >= 3:
            largest = np.argsort(-np.asarray(stats)[1:, cv2.CC_STAT_AREA])[:2] + 1
            (x0, y0), (x1, y1) = np.asarray(centres, np.float64)[largest].tolist()
            if math.hypot(x1 - x0, y1 - y0) > 0.4 * size_of(hole):
                return y0 - y1, x1 - x0, -((y0 - y1) * x0 + (x1 - x0) * y0)
        square = np.ones((square.shape[0] + 2 * width, square.shape[0] + 2 * width), np.uint8)
    return None
