"""The text features of a batch of pairs, in shapes that few batches differ in."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from gpu_handler.segment.sam3.words.phrases import LENGTH

LENGTHS = (8, 16, LENGTH)
"""Tokens per phrase that batches are cut to: padding is masked out, and costs time all the same.
Nearly every phrase of the presets fits into the first."""

REMEMBERED = 4096


class PhraseSource(Protocol):
    """What is needed of a PhraseBook."""

    def features(self, phrases: Sequence[str]) -> tuple[Tensor, Tensor]: ...


class Words(NamedTuple):
    """`text` (P, L, d) and `mask` (P, L) bool hold each phrase once, then the last one again.

    `row_of[p]` is the row of the phrase of pair p. There are as many rows as pairs, so that the
    number of pairs alone decides the shape.
    """

    text: Tensor
    mask: Tensor
    row_of: list[int]


class Wording:
    """Looks phrases up and cuts them. Waits for the device only when a phrase is new."""

    def __init__(self, phrases: PhraseSource) -> None:
        self._phrases = phrases
        self._lengths: dict[str, int] = {}

    def of(self, phrases: Sequence[str]) -> Words:
        """`phrases[p]` is that of pair p."""
        rows = {phrase: row for row, phrase in enumerate(dict.fromkeys(phrases))}
        distinct = list(rows)
        padded = distinct + distinct[-1:] * (len(phrases) - len(distinct))
        text, mask = self._phrases.features(padded)
        self._learn(padded, mask)
        longest = max(self._lengths[phrase] for phrase in distinct)
        length = next(length for length in LENGTHS if length >= longest)
        return Words(text[:, :length], mask[:, :length], [rows[phrase] for phrase in phrases])

    def _learn(self, phrases: Sequence[str], mask: Tensor) -> None:
        """How many tokens each phrase has; on the host, as shapes are decided there."""
        if all(phrase in self._lengths for phrase in phrases):
            return
        if len(self._lengths) >= REMEMBERED:
            self._lengths.clear()
        counts: list[int] = mask.sum(1).tolist()
        self._lengths |= zip(phrases, counts, strict=True)
