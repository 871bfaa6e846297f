"""A detector that finds what a script says, on a device that fails when it is told to."""

import itertools
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from gpu_handler.imaging.pixels import Pixels
from gpu_handler.segment.sam3.network.detector import Features, Found

SIDE = 4
CELLS = 8

Seen: TypeAlias = Mapping[tuple[int, str], float]
"""Presence in 0..1 of a phrase in the photo of that grey; from 0.5 it is found, as one instance."""


def photo_of(grey: int) -> Pixels:
    return np.full((SIDE, SIDE, 3), grey, np.uint8)


class ScriptedPhrases:
    """Features of a phrase are its number; its tokens are its words and two more."""

    def __init__(self) -> None:
        self.known: list[str] = []
        self.asked: list[list[str]] = []

    def features(self, phrases: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.asked.append(list(phrases))
        self.known += [phrase for phrase in dict.fromkeys(phrases) if phrase not in self.known]
        numbers = torch.tensor([self.known.index(phrase) for phrase in phrases])
        lengths = torch.tensor([len(phrase.split()) + 2 for phrase in phrases])
        text = numbers[:, None, None].expand(-1, 32, 1).float()
        return text, torch.arange(32) < lengths[:, None]


class ScriptedEyes:
    """`room` is how much memory there is: a photo's features take 1, a pair takes 1.

    `failures` are errors for the calls to come, in order, None for one that goes well.
    """

    image_size = SIDE
    device = torch.device("cpu")

    def __init__(
        self,
        phrases: ScriptedPhrases,
        seen: Seen,
        *,
        room: int = 1000,
        failures: Iterable[Exception | None] = (),
    ) -> None:
        self._phrases, self._seen = phrases, seen
        self.room = room
        self._failures = itertools.chain(failures, itertools.repeat(None))
        self.encoded: list[list[int]] = []
        self.decoded: list[list[tuple[int, str]]] = []
        self.text_shapes: list[tuple[int, ...]] = []
        self.held: list[weakref.ref[Tensor]] = []

    @property
    def calls(self) -> int:
        return len(self.encoded) + len(self.decoded)

    @property
    def alive(self) -> int:
        """How many of the features ever made are still held."""
        return sum(held() is not None for held in self.held)

    def encode(self, photos: Tensor) -> Features:
        self.encoded.append(photos[:, 0, 0, 0].tolist())
        self._take(len(photos))
        patches = photos[:, :1, 0, :1].float()
        self.held.append(weakref.ref(patches))
        empty = torch.zeros(len(photos), 0)
        return Features(patches, empty, empty, empty)

    def decode(
        self,
        features: Features,
        text: Tensor,
        text_mask: Tensor,
        photo_of: Tensor,
        text_of: Tensor,
    ) -> Found:
        photos = features.patches[photo_of, 0, 0].int().tolist()
        phrases = [self._phrases.known[int(number)] for number in text[text_of, 0, 0]]
        pairs = list(zip(photos, phrases, strict=True))
        self.decoded.append(pairs)
        self.text_shapes.append(tuple(text_mask.shape))
        self._take(len(features.patches) + len(pairs))
        return found_of([self._seen.get(pair, 0.0) for pair in pairs])

    def _take(self, amount: int) -> None:
        if error := next(self._failures):
            raise type(error)(*error.args)  # a new one, as its traceback would stay with the list
        if amount > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def found_of(presences: Sequence[float]) -> Found:
    """One query for each pair, which fills the left half of its photo where it is present."""
    presence = torch.tensor(presences).clamp(0.001, 0.999)
    count = len(presences)
    masks = torch.full((count, 1, CELLS, CELLS), -5.0)
    masks[..., : CELLS // 2] = 5.0
    boxes = torch.tensor([0.0, 0.0, 0.5, 1.0]).expand(count, 1, 4)
    return Found(
        presence[:, None],
        torch.full((count, 1), 10.0),
        boxes,
        presence.logit(),
        masks,
        torch.full((count, CELLS, CELLS), -5.0),
    )
