"""Our way: vision once per photo, all pairs in one batch, in every form that the engine has."""

import copy
import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.device.sending import send_photos
from gpu_handler.segment.sam3.network.compiling import Compilation
from gpu_handler.segment.sam3.network.detector import Detector, Features, Found
from gpu_handler.segment.sam3.network.graphs import Recorded
from gpu_handler.segment.sam3.reduction import fetch, read_table, reduce_pairs
from gpu_handler.segment.sam3.words.wording import LENGTHS
from tests.benchmarks.sam3.stock import KEPT

WORDS = LENGTHS[0]
"""Tokens per phrase that the engine cuts a batch to; the random phrases are no longer."""

Encode: TypeAlias = Callable[[Tensor], Features]
Decode: TypeAlias = Callable[[Features, Tensor, Tensor, Tensor, Tensor], Found]


class Pairs(NamedTuple):
    """Arguments of a decode beside the features: the words, and which goes with which photo."""

    text: Tensor
    mask: Tensor
    photo_of: Tensor
    text_of: Tensor


class Way(NamedTuple):
    """One form of the detector, its halves as functions."""

    detector: Detector
    encode: Encode
    decode: Decode

    def photo(self, picture: NDArray[np.uint8], pairs: Pairs) -> list[NDArray[np.float16]]:
        """What the engine does with a photo and K phrases, each found KEPT times.

        The logits of the unions and of the instances, on the host.
        """
        photos = send_photos([picture], self.detector.device)
        found = self.decode(self.encode(photos), *pairs)
        reduced = reduce_pairs(found, found.scores[:, KEPT - 1])
        counting = [row.counting for row in read_table(reduced.table)]
        unions = fetch(reduced.union, [(pair,) for pair in range(len(counting))])
        kept = [(pair, int(query)) for pair, queries in enumerate(counting) for query in queries]
        return [*unions, *fetch(found.masks, kept)]


class Compiled(NamedTuple):
    """The compiled forms; none where it failed, which `failure` tells. `seconds` it took."""

    ways: dict[str, Way]
    seconds: float
    failure: str | None


def eager(model: Sam3Model) -> Way:
    """A detector with weights of its own: it may do with them what it wants."""
    # In the memo, the text encoder is already "copied", to nothing: it is 40 % of the weights.
    detector = Detector(copy.deepcopy(model, {id(model.text_encoder): nn.Identity()}))
    return Way(detector, detector.encode, detector.decode)


def compiled(model: Sam3Model, limit: float) -> Compiled:
    """Compiled within `limit` seconds, and on CUDA the same recorded as graphs, every shape."""
    detector = eager(model).detector
    # The stance that a compilation leaves behind would keep the next one in this process eager.
    torch.compiler.set_stance("default")
    started = time.monotonic()
    compilation = Compilation(detector, words=WORDS)
    compilation.start()
    if not compilation.wait(limit):
        return Compiled({}, time.monotonic() - started, f"not done in {limit:.0f} s")
    seconds = time.monotonic() - started
    if not compilation.ready:
        return Compiled({}, seconds, compilation.failure or "unknown")
    ways = {"compiled": Way(detector, detector.encode, detector.decode)}
    if detector.device.type == "cuda":
        encode = Recorded(detector.encode, lambda *_: True)
        decode = Recorded(detector.decode, lambda *_: True)
        ways["graphs"] = Way(detector, encode, decode)
    return Compiled(ways, seconds, None)


def repeated(features: Features, photos: int) -> Features:
    """The features of one photo as those of `photos`, in memory of their own."""
    return Features(*(part.repeat(photos, *(1 for _ in part.shape[1:])) for part in features))
