"""SAM3 as a Segmenter: photos and concepts in batches through the detector, whatever happens."""

import gc
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.devices.torch_faults import device_error, release_frames
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.segment.base import Segmentation
from gpu_handler.segment.sam3.device.batches import Batch, Limit, run_halving
from gpu_handler.segment.sam3.device.budget import Budget
from gpu_handler.segment.sam3.device.sending import send_photos, send_rows
from gpu_handler.segment.sam3.evidence import read_pairs
from gpu_handler.segment.sam3.network.detector import Features, Found
from gpu_handler.segment.sam3.picture import prepare_picture
from gpu_handler.segment.sam3.questions import Question
from gpu_handler.segment.sam3.words.wording import PhraseSource, Wording
from shared.concepts import Concept

Encode: TypeAlias = Callable[[Tensor], Features]
Decode: TypeAlias = Callable[[Features, Tensor, Tensor, Tensor, Tensor], Found]

Asked: TypeAlias = tuple[int, Question]
"""A question, and the place of its photo among the features at hand."""


class Eyes(Protocol):
    """What the engine needs of a Detector."""

    @property
    def image_size(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    def encode(self, photos: Tensor) -> Features: ...
    def decode(
        self,
        features: Features,
        text: Tensor,
        text_mask: Tensor,
        photo_of: Tensor,
        text_of: Tensor,
    ) -> Found: ...


class Sam3Segmenter:
    """SAM3 as a Segmenter.

    Photos are encoded in batches, and all questions about the photos of a batch are decoded
    together, in batches of their own, whichever photo they are about; those that found nothing are
    asked again in their next wording. Where memory ends, batches are halved, and no answer is lost.

    One thread at a time may call `segment`; the device is its own. Nothing of a call stays on the
    device but the features of phrases.
    """

    name = "sam3"

    def __init__(
        self,
        detector: Eyes,
        phrases: PhraseSource,
        budget: Budget,
        *,
        encode: Encode | None = None,
        decode: Decode | None = None,
    ) -> None:
        """`encode` and `decode` stand in for the detector's own: compiled, or captured in graphs.

        What they answer may live in buffers that their next call overwrites: features are used up
        before the next photos are encoded, and what was found before the next pairs are decoded.
        """
        self._side, self._device = detector.image_size, detector.device
        self._encode = encode or detector.encode
        self._decode = decode or detector.decode
        self._wording = Wording(phrases)
        self._photos = Limit("photos", budget.photos, budget.padding)
        self._pairs = Limit("pairs", budget.pairs, budget.padding)
        self._turn = threading.Lock()
        self._lost: str | None = None

    @property
    def photos_at_once(self) -> int:
        return self._photos.largest

    def prepare(self, photo: Pixels) -> Pixels:
        """(H, W, 3) uint8 sRGB stretched to the model's square."""
        return prepare_picture(photo, self._side)

    def segment(
        self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
    ) -> list[list[Segmentation]]:
        """As the protocol says; the answer for a photo does not depend on the others.

        Also raises CheckpointError where a new phrase needs the text encoder and it cannot be
        loaded, and ModelBroken for answers that are no numbers. After DeviceLost every call raises
        it at once.
        """
        if len(photos) != len(concepts):
            raise ValueError(f"{len(photos)} photos, but concepts for {len(concepts)}")
        if self._lost is not None:
            raise DeviceLost(self._lost)
        if not self._turn.acquire(blocking=False):
            raise RuntimeError("segment was called by two threads at once")
        try:
            with torch.inference_mode():
                return self._segment(photos, concepts)
        except Exception as error:
            release_frames(error)
            refusal = device_error(error, self._device)
            if refusal is None or isinstance(error, DeviceExhausted):
                raise
            if isinstance(refusal, DeviceLost):
                self._lost = str(refusal)
            raise refusal from error
        finally:
            self._turn.release()

    def _segment(
        self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
    ) -> list[list[Segmentation]]:
        questions = [[Question(at, c) for c in row] for at, row in enumerate(concepts)]
        wanted = [at for at, row in enumerate(questions) if row]

        def look(batch: Batch) -> None:
            chosen = batch.of(wanted)
            asked = [
                (place, question)
                for place, at in enumerate(wanted[batch.start : batch.stop])
                for question in questions[at]
            ]
            self._look([photos[at] for at in chosen], asked)

        run_halving(len(wanted), self._photos, look, self._free)
        return [[question.answer for question in row] for row in questions]

    def _look(self, photos: Sequence[Pixels], asked: Sequence[Asked]) -> None:
        """Answer the open questions about `photos`, in as many rounds as they have wordings."""
        left = _open(asked)
        if not left:
            return
        features = self._encode(send_photos([self.prepare(p) for p in photos], self._device))
        try:
            while left:
                self._round(features, left)
                left = _open(left)
        except DeviceExhausted:
            # Without the features of so many photos there may be room for as many pairs as ever.
            if len(photos) > 1:
                self._pairs.restore()
            raise

    def _round(self, features: Features, asked: Sequence[Asked]) -> None:
        """Ask every question once."""
        # No closure: a traceback would keep what it holds on to, whatever its frames let go.
        run_halving(len(asked), self._pairs, partial(self._ask, features, asked), self._free)

    def _ask(self, features: Features, asked: Sequence[Asked], batch: Batch) -> None:
        pairs = batch.of(asked)
        words = self._wording.of([question.phrase for _, question in pairs])
        rows = send_rows([place for place, _ in pairs], words.row_of, device=self._device)
        found = self._decode(features, words.text, words.mask, rows[0], rows[1])
        questions = [question for _, question in asked[batch.start : batch.stop]]
        answers = read_pairs(
            Found(*(part[: len(questions)] for part in found)),
            [question.concept for question in questions],
            [question.phrase for question in questions],
        )
        for question, answer in zip(questions, answers, strict=True):
            question.hear(answer)

    def _free(self) -> None:
        """Give back what a failed try left in caches."""
        if self._device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()


def _open(asked: Iterable[Asked]) -> list[Asked]:
    return [(place, question) for place, question in asked if question.open]
