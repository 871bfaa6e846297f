"""Who keeps the cells that several concepts claim.

Concepts are looked for one by one, and a door is claimed as "wall" too. A cell goes to
  * a thing (kind INSTANCES) before a surface (kind SURFACE): things lie in front;
  * the smaller of two things, by the cells they claim: a handle on a door, a logo on a label;
  * the surface with the higher logit there;
and between equals to the concept that was asked for first.

Protected concepts stand apart. They lose nothing, whoever else claims it. Nothing is taken from
others for them here either: what is protected is left out of every rule at full size, to the last
bit (final alpha = alpha * (1 - protect)); were it taken here as well, the soft edge would count
twice and leave a rim unpainted.

What a concept loses becomes negative, no other cell changes sides. Where both edges run side by
side the loser's logits mirror the winner's, so that both masks end along the same line. Instances
lose the same cells; one that loses all is dropped, and a concept that loses all its instances is
not found: nothing can be done to it, and that is warned of like any absence.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeAlias

import cv2
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gpu_handler.segment.base import Instance, InstanceLogits, Logits, Segmentation
from shared.concepts import Concept, Kind

Box: TypeAlias = tuple[float, float, float, float]

_FARTHEST = 20.0  # logits beyond this are certain; infinite ones would not stretch
_LEAST = np.float32(2**-10)  # no kept cell is lowered below it: float16 tells it from 0
_ABSENT = -8.0


def settle_overlaps(
    found: Sequence[Segmentation], concepts: Sequence[Concept], protected: AbstractSet[str]
) -> list[Segmentation]:
    """`found[i]` is the answer to `concepts[i]`; the same order comes back, nothing is changed in
    place, and concepts that lose nothing come back as they are. Settling twice changes nothing.

    Grids of several sizes are compared on the finest height and width among them; a concept that
    loses cells comes back on that grid.
    """
    if len(found) != len(concepts):
        raise ValueError("one concept for each segmentation")
    rivals = [i for i, seen in enumerate(found) if seen.found and seen.concept not in protected]
    settled = list(found)
    if len(rivals) < 2:
        return settled
    # Of those that were not found too: what loses everything must not change the comparison.
    shapes = [seen.logits.shape for seen in found if seen.concept not in protected]
    shape = max(s[0] for s in shapes), max(s[1] for s in shapes)
    grids = {i: _stretched(found[i].logits, shape) for i in rivals}
    things = [i for i in rivals if concepts[i].kind is Kind.INSTANCES]
    things.sort(key=lambda i: np.count_nonzero(grids[i] > 0))
    surfaces = [i for i in rivals if concepts[i].kind is Kind.SURFACE]
    for i, front in _fronts(grids, things, surfaces):
        lost = (grids[i] > 0) & (front > 0)
        if lost.any():
            settled[i] = _without(found[i], grids[i], lost, front)
    return settled


def _fronts(
    grids: Mapping[int, Logits], things: Sequence[int], surfaces: Sequence[int]
) -> Iterator[tuple[int, Logits]]:
    """For each concept the logits of what lies before it: > 0 where it loses whatever it claims.

    `things` come in order, the front one first, `surfaces` as they were asked for.
    """
    front = np.full_like(grids[[*things, *surfaces][0]], -_FARTHEST)
    for i in things:
        yield i, front
        front = np.maximum(front, grids[i])
    for i in surfaces:
        others = [_rival(grids[j], grids[i], first=j < i) for j in surfaces if j != i]
        yield i, np.maximum.reduce([front, *others])


def _rival(other: Logits, own: Logits, *, first: bool) -> Logits:
    """What of another surface stands against `own`: where it claims a cell in vain, nothing."""
    wins = other >= own if first else other > own
    return np.where(wins | (other <= 0), other, np.float32(-_FARTHEST))


def _without(
    seen: Segmentation, own: Logits, lost: NDArray[np.bool_], front: Logits
) -> Segmentation:
    """`seen` with its logits `own` less what it `lost` to `front`, all (h, w)."""
    near = np.asarray(cv2.dilate(lost.astype(np.uint8), np.ones((3, 3), np.uint8))) > 0
    mirror = np.where(front > 0, -front, np.maximum(-front, _LEAST))
    touched = lost | (near & (front <= 0))
    logits = np.where(touched, np.minimum(own, mirror), own)
    cut = [_cut(instance, touched | (front > 0), mirror) for instance in seen.instances]
    instances = tuple(instance for instance in cut if (instance.logits > 0).any())
    if not instances or not (logits > 0).any():
        return replace(seen, logits=np.full_like(own, _ABSENT), instances=())
    return replace(seen, logits=logits, instances=instances)


def _cut(instance: Instance, touched: NDArray[np.bool_], mirror: Logits) -> Instance:
    whole = _stretched(instance.logits, mirror.shape)
    left = np.where(touched, np.minimum(whole, mirror), whole)
    if np.array_equal(left > 0, whole > 0) and whole.shape == instance.logits.shape:
        return instance
    half = instance.logits.dtype == np.float16
    logits = left.astype(np.float16) if half else left
    return Instance(instance.score, _fitted(instance.box, logits), logits)


def _fitted(box: Box, mask: InstanceLogits) -> Box:
    """The part of `box` around what is left of the mask (h, w)."""
    rows, columns = np.flatnonzero((mask > 0).any(1)), np.flatnonzero((mask > 0).any(0))
    if not rows.size:
        return box
    height, width = mask.shape
    x0, x1 = int(columns[0]) / width, (int(columns[-1]) + 1) / width
    y0, y1 = int(rows[0]) / height, (int(rows[-1]) + 1) / height
    inner = max(box[0], x0), max(box[1], y0), min(box[2], x1), min(box[3], y1)
    return inner if inner[0] < inner[2] and inner[1] < inner[3] else (x0, y0, x1, y1)


def _stretched(logits: InstanceLogits, shape: tuple[int, ...]) -> Logits:
    """`logits` in float32 on a grid of `shape`, as fine or finer. What is no number is outside."""
    known = np.nan_to_num(logits.astype(np.float32), nan=-_FARTHEST)
    known = np.clip(known, -_FARTHEST, _FARTHEST)
    if known.shape == shape:
        return known
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_LINEAR), np.float32)
