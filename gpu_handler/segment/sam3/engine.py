"""The engine put together: weights, phrases and the memory there is, from a checkpoint."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from gpu_handler.devices.torch_faults import device_error
from gpu_handler.segment.sam3.device.budget import make_budget, means_of
from gpu_handler.segment.sam3.device.footprint import measure_footprint
from gpu_handler.segment.sam3.network.compiling import Compilation, keep_compiled_code_in
from gpu_handler.segment.sam3.network.detector import Detector, Features
from gpu_handler.segment.sam3.network.graphs import Recorded
from gpu_handler.segment.sam3.segmenter import Sam3Segmenter
from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint
from gpu_handler.segment.sam3.weights.loading import load_model
from gpu_handler.segment.sam3.weights.memory import free_bytes as measured
from gpu_handler.segment.sam3.words.precomputed import preset_phrases
from gpu_handler.segment.sam3.words.text import PhraseBook
from gpu_handler.segment.sam3.words.wording import LENGTHS
from gpu_handler.segment.stages import Stage

__all__ = ["DeviceMissing", "Sam3Segmenter", "open_engine"]

FreeBytes: TypeAlias = Callable[[torch.device], int | None]

log = logging.getLogger(__name__)


class DeviceMissing(RuntimeError):
    """The device that was asked for is not there; the message says what to do."""


def open_engine(
    checkpoint: Checkpoint,
    *,
    device: str = "auto",
    dtype: str = "auto",
    compile_layers: bool | None = None,
    compiled_in: Path | None = None,
    free_bytes: FreeBytes = measured,
    stage: Stage = nullcontext,
) -> Sam3Segmenter:
    """Load SAM3 onto `device`: `cuda`, `cpu`, or `auto` for the first of them that is there.

    `dtype` is that of the parameters, `float32`, `bfloat16`, or `auto` for bfloat16 on a GPU and
    float32 on a CPU, of which only some are quicker in bfloat16. `compile_layers` compiles in the
    background, eager until it is done; None does so on a GPU. `compiled_in` is a folder that keeps
    the compiled code for the next process. `free_bytes` tells the memory that is free, asked after
    the weights are loaded. Raises CheckpointError, MemoryShort among them, DeviceMissing,
    DeviceExhausted and DeviceLost.
    """
    place = _device(device)
    compiles = place.type == "cuda" if compile_layers is None else compile_layers
    if compiles and compiled_in is not None:
        keep_compiled_code_in(compiled_in)
    try:
        return _open(checkpoint, place, _dtype(dtype, place), compiles, free_bytes, stage)
    except RuntimeError as error:
        if refusal := device_error(error, place):
            raise refusal from error
        raise


def _open(
    checkpoint: Checkpoint,
    place: torch.device,
    dtype: torch.dtype,
    compiles: bool,
    free_bytes: FreeBytes,
    stage: Stage,
) -> Sam3Segmenter:
    began = time.monotonic()
    with stage("weights"):
        detector = Detector(load_model(checkpoint, place, dtype, with_text=False))
    with stage("words"):
        phrases = PhraseBook(checkpoint, place, dtype)
        if place.type == "cuda":
            # What the presets ask for is known from the start; on a CPU it would take a minute.
            phrases.features(preset_phrases())
    with stage("budget"):
        budget = make_budget(measure_footprint(detector), free_bytes(place), means_of(place))
    log.info(
        "sam3 on %s in %s: %s, fingerprint %s; photos at once %d, pairs %d; ready in %.1f s",
        _described(place),
        str(dtype).removeprefix("torch."),
        checkpoint.path,
        checkpoint.fingerprint,
        budget.photos,
        budget.pairs,
        time.monotonic() - began,
    )
    compilation = Compilation(detector, words=LENGTHS[0]) if compiles else None
    decode = None if place.type == "cpu" else Recorded(detector.decode, _SmallBatch(compilation))
    if compilation is not None:
        compilation.start()
    return Sam3Segmenter(detector, phrases, budget, decode=decode)


class _SmallBatch:
    """Which decodes are recorded as graphs: those whose kernels are shorter than their launches.

    Not before the layers are compiled, or known never to be: a recording keeps what it has seen.
    A recording has a copy of its photos' features, 53 MB each.
    """

    PHOTOS, PAIRS = 2, 8

    def __init__(self, compilation: Compilation | None) -> None:
        self._compilation = compilation

    def __call__(self, features: Features, text: Tensor, *rest: Tensor) -> bool:
        settled = self._compilation is None or self._compilation.wait(0)
        return settled and len(features.patches) <= self.PHOTOS and len(text) <= self.PAIRS


def _device(wanted: str) -> torch.device:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if wanted not in ("auto", "cuda"):
        raise DeviceMissing(f"{wanted!r} is no device for SAM3: auto, cuda or cpu")
    if not torch.cuda.is_available():
        raise DeviceMissing("there is no CUDA device that torch can use: SAM3 needs one, or cpu")
    return torch.device("cuda", torch.cuda.current_device())


def _dtype(wanted: str, place: torch.device) -> torch.dtype:
    if wanted == "auto":
        return torch.bfloat16 if place.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]


def _described(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return f"cpu ({torch.get_num_threads()} threads)"
