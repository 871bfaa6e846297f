"""The file of text features that lies beside a checkpoint, so that no encoder need be loaded."""

import logging
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from msgspec import Struct
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint
from gpu_handler.segment.sam3.words.phrases import LENGTH
from shared.presets import PRESETS

FEATURES_FILE = "text_features.safetensors"
FORMAT = "1"

log = logging.getLogger(__name__)


class _Detector(Struct, frozen=True):
    hidden_size: int = 256


class _Config(Struct, frozen=True):
    detr_encoder_config: _Detector = _Detector()


class TextFeatures(NamedTuple):
    """What the text encoder says of T phrases.

    It is a function of `ids` and `mask` alone; `phrases` are what was asked for, for people.
    """

    phrases: tuple[str, ...]
    ids: Tensor  # (T, 32) int64
    mask: Tensor  # (T, 32) bool
    features: Tensor  # (T, 32, d) float32


def preset_phrases() -> tuple[str, ...]:
    """Every prompt of every concept of every preset, each once, in the order of the presets."""
    concepts = chain.from_iterable((*p.concepts, *p.protect_only) for p in PRESETS.values())
    return tuple(dict.fromkeys(prompt for concept in concepts for prompt in concept.prompts))


def write_features(checkpoint: Checkpoint, known: TextFeatures) -> None:
    """Put them beside the weights, marked with the checkpoint's fingerprint."""
    tensors = {
        "ids": known.ids.cpu().contiguous(),
        "mask": known.mask.to("cpu", torch.uint8).contiguous(),
        "features": known.features.to("cpu", torch.float32).contiguous(),
    }
    # Phrases are data in one JSON list and never names of tensors, whatever is in them.
    told = {
        "format": FORMAT,
        "fingerprint": checkpoint.fingerprint,
        "phrases": msgspec.json.encode(known.phrases).decode(),
    }
    save_file(tensors, checkpoint.path / FEATURES_FILE, metadata=told)


def read_features(checkpoint: Checkpoint) -> TextFeatures | None:
    """What the file says, on the CPU; None, and a line in the log, where it is of no use.

    That is a file of another checkpoint or format, or a damaged one: features can be computed
    again, so it is never an error. A folder without the file is nothing to log.
    """
    file = checkpoint.path / FEATURES_FILE
    if not file.is_file():
        return None
    try:
        known = _read(file, checkpoint.fingerprint)
        if known.features.shape[2] != _width(checkpoint):
            raise ValueError("its features have another width than the detector's")
    except (OSError, ValueError, KeyError, RecursionError, SafetensorError) as error:
        log.warning("%s is ignored: %s", file, " ".join(str(error).split())[:200])
        return None
    log.info("%s: %d phrases are known", file, len(known.phrases))
    return known


def _read(file: Path, fingerprint: str) -> TextFeatures:
    with safe_open(file, "pt") as opened:
        told: dict[str, str] = opened.metadata() or {}
        if told.get("format") != FORMAT:
            raise ValueError(f"format {told.get('format')!r} is not {FORMAT!r}")
        if told.get("fingerprint") != fingerprint:
            raise ValueError("it belongs to another checkpoint")
        phrases = msgspec.json.decode(told["phrases"], type=tuple[str, ...])
        ids: Tensor = opened.get_tensor("ids")
        mask: Tensor = opened.get_tensor("mask")
        features: Tensor = opened.get_tensor("features")
    fits = (
        ids.shape == mask.shape == features.shape[:2] == (len(phrases), LENGTH)
        and features.dim() == 3
        and (ids.dtype, mask.dtype, features.dtype) == (torch.int64, torch.uint8, torch.float32)
    )
    if not fits or not bool(features.isfinite().all()):
        raise ValueError("its tensors do not fit")
    return TextFeatures(phrases, ids, mask.bool(), features)


def _width(checkpoint: Checkpoint) -> int:
    return msgspec.convert(checkpoint.config, _Config).detr_encoder_config.hidden_size
