"""What P pairs came to, boiled down on the device to one small table and one map per pair.

The masks of all queries are gigabytes; what decides between them is a few numbers for each. Only
those leave the device at first, then exactly the masks that were chosen. Nothing in `reduce_pairs`
makes the host wait.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpu_handler.segment.sam3.network.detector import Found

FARTHEST = 20.0
"""Logits leave the device within plus and minus this."""

_PAIRS = 8  # reduced at a time: at full size their masks are 170 MB in bfloat16
_MASKS = 128  # copied at a time: 21 MB in float16


class Reduced(NamedTuple):
    """`table` (P, 4 + 6Q) float32, as `read_table` reads it; `union` (P, h, h) float32 logits.

    The union is the largest logit of the instances that count, -20 where there are none.
    """

    table: Tensor
    union: Tensor


class Row(NamedTuple):
    """What is known of one pair on the host.

    `presence` in 0..1; `capped`: every query was sure enough, so there may be more; `agreement` of
    the union and `map_agreement` of the semantic map in 0..1; `scores` (Q,) float32, best first;
    `peaks` (Q,) float32: the largest mask logit where the score is high enough, else 0; `boxes`
    (Q, 4) float32, as they came.
    """

    presence: float
    capped: bool
    agreement: float
    map_agreement: float
    scores: NDArray[np.float32]
    peaks: NDArray[np.float32]
    boxes: NDArray[np.float32]

    @property
    def counting(self) -> NDArray[np.intp]:
        """The queries that count as instances, best first."""
        return np.flatnonzero(self.peaks > 0)

    @property
    def broken(self) -> bool:
        """Whether any number is none: the answer of a model whose weights are damaged."""
        few = (self.presence, self.agreement, self.map_agreement)
        return any(bool(np.isnan(n).any()) for n in (few, self.scores, self.peaks, self.boxes))


def reduce_pairs(found: Found, thresholds: Tensor) -> Reduced:
    """Union, agreement and peaks of P pairs; `thresholds` (P,) float32 on the device, 0..1.

    An instance counts when its score reaches the threshold and its mask has a cell in float16, the
    precision that masks are copied in. The belief in a cell is the surer of the two heads: the
    largest score * mask probability of the instances that count, or presence * map probability. The
    agreement of a region R, the union's cells or the map's, with that belief is

        2 * sum of belief in R / (cells of R + sum of belief in either region),

    the Dice coefficient that R is expected to reach: cells that are claimed without much belief
    lower it, and so do cells that are believed in and left out.
    """
    lots = [slice(at, at + _PAIRS) for at in range(0, len(found.scores), _PAIRS)]
    parts = [_reduce_few(found, thresholds, lot) for lot in lots]
    return Reduced(torch.cat([p.table for p in parts]), torch.cat([p.union for p in parts]))


def read_table(table: Tensor) -> list[Row]:
    """The table on the host, in one copy."""
    values = table.cpu().numpy()
    count = (values.shape[1] - 4) // 6
    return [_row(row, count) for row in values]


def fetch(grids: Tensor, places: Sequence[tuple[int, ...]]) -> list[NDArray[np.float16]]:
    """The grids of logits at `places` of (N, h, h) or (N, M, h, h), on the host, each (h, h)."""
    fetched: list[NDArray[np.float16]] = []
    for at in range(0, len(places), _MASKS):
        index = torch.tensor(places[at : at + _MASKS]).to(grids.device)
        few = grids[index.unbind(1)].clamp_(-FARTHEST, FARTHEST).to(torch.float16)
        fetched.extend(few.cpu().numpy())
    return fetched


def _reduce_few(found: Found, thresholds: Tensor, lot: slice) -> Reduced:
    scores, masks = found.scores[lot], found.masks[lot]
    sure = scores >= thresholds[lot, None]
    peaks = _halved(masks.amax((-2, -1)))
    counts = (sure & (peaks > 0))[..., None, None]
    claims = masks.masked_fill(~counts, -torch.inf)
    union = _halved(claims.amax(1))
    # In place, as no other tensor here is as large.
    belief = claims.sigmoid_().mul_(scores[..., None, None]).amax(1).float()
    presence = found.presence[lot].float().sigmoid()
    columns = (
        torch.stack((presence, sure.all(1).float()), 1),
        _agreements(union, belief, found.semantic[lot].float(), presence),
        scores,
        torch.where(sure, peaks, 0),
        found.boxes[lot].flatten(1),
    )
    return Reduced(torch.cat([column.float() for column in columns], 1), union)


def _agreements(union: Tensor, belief: Tensor, semantic: Tensor, presence: Tensor) -> Tensor:
    """(P, 2): of the union and of the map. All arguments but presence (P,) are (P, h, h)."""
    regions = union > 0, semantic > 0
    belief = torch.maximum(belief, semantic.sigmoid() * presence[:, None, None])
    belief = belief * (regions[0] | regions[1])
    total = belief.sum((-2, -1))
    return torch.stack(
        [
            2 * (belief * region).sum((-2, -1)) / (region.sum((-2, -1)) + total).clamp_min(1e-6)
            for region in regions
        ],
        1,
    )


def _halved(logits: Tensor) -> Tensor:
    """Float32 logits as they will look once they were copied in float16."""
    return logits.clamp(-FARTHEST, FARTHEST).to(torch.float16).float()


def _row(values: NDArray[np.float32], count: int) -> Row:
    presence, capped, agreement, map_agreement = (float(value) for value in values[:4])
    scores, peaks, boxes = np.split(values[4:], [count, 2 * count])
    return Row(
        presence, capped > 0, agreement, map_agreement, scores, peaks, boxes.reshape(count, 4)
    )
