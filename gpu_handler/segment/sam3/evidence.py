"""From what the detector says about a photo and a phrase to what is reported: a Segmentation.

An instance counts when its score, sigmoid(logit) * sigmoid(presence), reaches the concept's
threshold and its mask has a cell. Its box is clipped to the photo.

A thing is the union of its instances, the largest of their logits, and is found when one counts.

A surface, such as a wall, may be better told by the semantic map, which has no parts to miss. The
map is taken when
  * the presence is at least 0.5: the map was trained where the concept is there, and is undefined
    elsewhere;
  * its agreement with what both heads believe (see `reduce_pairs`) is higher than that of the union
    by 0.01 at least: instances are preferred where both say the same, and an absent union agrees
    with nothing;
  * one connected part of it counts: with at least 1/2000 of the grid's cells, and a score of
    presence * mean probability over those cells that reaches the concept's threshold, like an
    instance's.
Each part that counts is then an instance, and the others leave the map. Where none does, the
surface is the union of its instances after all.

`capped` says that every query counted, so that there may be more. Absent: no instance, and logits
of -8. Logits lie within plus and minus 20, and carry the precision of float16. A number that is
none (NaN) is never read as "outside": the weights are broken, and ModelBroken says so.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gpu_handler.segment.base import Instance, InstanceLogits, Segmentation, Source
from gpu_handler.segment.sam3.network.detector import Found
from gpu_handler.segment.sam3.numbering import Box, reading_order
from gpu_handler.segment.sam3.reduction import Row, fetch, read_table, reduce_pairs
from shared.concepts import Concept, Kind

_PRESENT = 0.5  # presence from which the semantic map means anything
_MARGIN = 0.01  # of agreement, about 2 % of a surface: what differs by less is the same
_LEAST_PART = 1 / 2000  # of the grid: 41 of 288 x 288 cells, 6000 pixels of 12 million
_ABSENT = -8.0


class ModelBroken(RuntimeError):
    """The model answers with numbers that are none; whoever knows its checkpoint names it."""


def read_pairs(
    found: Found, concepts: Sequence[Concept], phrases: Sequence[str]
) -> list[Segmentation]:
    """The answers to P pairs, of which pair p was asked for `concepts[p]` as `phrases[p]`.

    Waits for the device. Raises ModelBroken.
    """
    if not len(found.scores) == len(concepts) == len(phrases):
        raise ValueError("one concept and one phrase for each pair")
    if not concepts:
        return []
    with torch.inference_mode():
        limits = torch.tensor([c.threshold for c in concepts], dtype=torch.float32)
        table, union = reduce_pairs(found, limits.to(found.scores.device))
        pairs = [_Pair(*pair) for pair in zip(read_table(table), concepts, phrases, strict=True)]
        answers = _surfaces(found, pairs)
        rest = [p for p in range(len(pairs)) if p not in answers and pairs[p].row.counting.size]
        grids = fetch(union, [(p,) for p in rest])
        kept = [(p, int(q)) for p in rest for q in pairs[p].row.counting]
        masks = iter(fetch(found.masks, kept))
    for p, grid in zip(rest, grids, strict=True):
        pair = pairs[p]
        answers[p] = pair.of_instances(grid, [next(masks) for _ in pair.row.counting])
    nothing = found.semantic.shape[-2], found.semantic.shape[-1]
    return [answers.get(p) or pair.absent(nothing) for p, pair in enumerate(pairs)]


def _surfaces(found: Found, pairs: Sequence["_Pair"]) -> dict[int, Segmentation]:
    """The pairs that their semantic map tells better."""
    candidates = [p for p, pair in enumerate(pairs) if pair.favours_map]
    maps = fetch(found.semantic, [(p,) for p in candidates])
    answers = ((p, pairs[p].of_map(grid)) for p, grid in zip(candidates, maps, strict=True))
    return {p: answer for p, answer in answers if answer}


class _Pair:
    """One concept in one photo, as it was asked for, and the numbers that came of it."""

    def __init__(self, row: Row, concept: Concept, phrase: str) -> None:
        if row.broken:
            raise ModelBroken(
                f"the model answers {phrase!r} with numbers that are none (NaN): its weights are "
                "damaged, or do not fit in its precision"
            )
        self.row, self.concept, self.phrase = row, concept, phrase

    @property
    def favours_map(self) -> bool:
        row = self.row
        if self.concept.kind is not Kind.SURFACE or row.presence < _PRESENT:
            return False
        return row.map_agreement >= row.agreement + _MARGIN

    def of_instances(
        self, union: NDArray[np.float16], masks: Sequence[NDArray[np.float16]]
    ) -> Segmentation:
        """`union` (h, w) and `masks`, n times (h, w), of the queries that count, best first."""
        scores, boxes = self.row.scores, self.row.boxes
        instances = [
            Instance(_unit(float(scores[q])), _clipped(boxes[q]) or _extent(mask), mask)
            for q, mask in zip(self.row.counting, masks, strict=True)
        ]
        return self._found(union, instances, Source.INSTANCES, self.row.capped)

    def of_map(self, semantic: NDArray[np.float16]) -> Segmentation | None:
        """None where no part of the map (h, w) counts."""
        grid = semantic.astype(np.float32)
        inside = grid > 0
        count, labels = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
        labels = np.asarray(labels, np.int32)
        areas = np.bincount(labels.ravel(), minlength=count)
        sums = np.bincount(labels.ravel(), 1 / (1 + np.exp(-grid.ravel())), count)
        scores = self.row.presence * sums / np.maximum(1, areas)
        counts = (areas >= _LEAST_PART * grid.size) & (scores >= self.concept.threshold)
        counts[0] = False  # what is outside
        if not counts.any():
            return None
        parts = [
            _part(grid, labels == label, float(scores[label])) for label in np.flatnonzero(counts)
        ]
        whole = np.where(inside & ~counts[labels], -grid, grid)
        return self._found(whole, parts, Source.SEMANTIC, capped=False)

    def absent(self, shape: tuple[int, int]) -> Segmentation:
        logits = np.full(shape, _ABSENT, np.float32)
        return Segmentation(self.concept.id, self._presence, logits, phrase=self.phrase)

    def _found(
        self, logits: InstanceLogits, instances: Sequence[Instance], source: Source, capped: bool
    ) -> Segmentation:
        order = reading_order([instance.box for instance in instances])
        return Segmentation(
            self.concept.id,
            self._presence,
            logits.astype(np.float32),
            tuple(instances[place] for place in order),
            source,
            self.phrase,
            capped,
        )

    @property
    def _presence(self) -> float:
        return _unit(self.row.presence)


def _part(grid: NDArray[np.float32], inside: NDArray[np.bool_], score: float) -> Instance:
    """One connected part of a map: what the map claims elsewhere is outside of it."""
    alone = np.where(inside | (grid <= 0), grid, -grid).astype(np.float16)
    return Instance(_unit(score), _extent(alone), alone)


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _clipped(box: NDArray[np.float32]) -> Box | None:
    """The box within the photo; None where nothing is left of it."""
    x0, y0, x1, y1 = (_unit(float(edge)) for edge in box)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _extent(mask: InstanceLogits) -> Box:
    """The box around a mask that has a cell at least."""
    height, width = mask.shape
    rows, columns = np.flatnonzero((mask > 0).any(1)), np.flatnonzero((mask > 0).any(0))
    left, right = int(columns[0]) / width, (int(columns[-1]) + 1) / width
    return left, int(rows[0]) / height, right, (int(rows[-1]) + 1) / height
