"""Whether a prepared checkpoint says what its source says: parameters bit for bit, and outputs."""

from collections.abc import Callable

import torch
from msgspec import Struct
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import Sam3Model
from transformers.utils import logging as transformers_logging

from gpu_handler.segment.sam3.preparing.answers import Answers, ask, text_features
from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint
from gpu_handler.segment.sam3.weights.loading import load_model
from gpu_handler.segment.sam3.words.phrases import Phrases
from gpu_handler.segment.sam3.words.precomputed import FEATURES_FILE
from gpu_handler.segment.sam3.words.text import PhraseBook

CPU = torch.device("cpu")

TRIED_PHRASES = ("wall", "floor", "window", "lamp")
"""The phrases that the outputs are compared with: prompts of the presets, and in the picture."""

SCORE, BOX, MASK_IOU = 0.02, 0.05, 0.99
"""How far bfloat16 may be from float32. Measured with random weights, the worst of six tiny models:
scores 0.012, boxes 0.02; one of full size: 0.014 and 0.011; masks equal where a logit counts."""

EXACT = 1e-5
"""How far float32 may be from itself, against the largest value of each output."""

BEST = 4
"""Queries a phrase whose boxes and masks are compared in bfloat16: the others are no find."""

TINY = 0.1
"""A mask logit below this part of its map's root mean square is a cell that could go either way."""


class OutputsDiffer(Exception):
    """The outputs are further apart than the precision explains; one line with the figures."""


class Differences(Struct, frozen=True):
    """`score` and `box`: the largest. `mask_iou`: the smallest. `relative`: over all outputs."""

    score: float
    box: float
    mask_iou: float
    relative: float

    def __str__(self) -> str:
        shown = f"score {self.score:.2g}, box {self.box:.2g}, mask IoU {self.mask_iou:.4f}"
        return f"{shown}, relative {self.relative:.2g}"


def verify(
    source: Checkpoint,
    written: Checkpoint,
    dtype: torch.dtype,
    device: torch.device,
    progress: Callable[[str], None],
) -> Differences:
    """Compare what was written in `dtype` with the source as transformers itself reads it.

    The outputs are computed on `device`. Raises OutputsDiffer and CheckpointError.
    """
    progress("comparing the parameters with the source's")
    stock, made = _stock_model(source), load_model(written, CPU, dtype)
    require_same_parameters(stock, made, dtype)
    progress(f"comparing the outputs on {device}")
    reference = _ask_source(source, stock, device)
    stock.cpu()  # the two need not fit the device together
    return require_same(reference, _ask_written(written, made, dtype, device), dtype)


def require_same_parameters(stock: Sam3Model, made: Sam3Model, dtype: torch.dtype) -> None:
    """Every parameter of `made` is that of `stock` cast, bit for bit; else OutputsDiffer."""
    expected, found = dict(stock.named_parameters()), dict(made.named_parameters())
    if odd := sorted(expected.keys() ^ found.keys()):
        raise OutputsDiffer(f"{len(odd)} parameters are not in both, the first is {odd[0]}")
    for name, parameter in expected.items():
        if found[name].dtype != dtype or not torch.equal(parameter.to(dtype), found[name]):
            raise OutputsDiffer(f"the parameter {name} is not that of the source")


def compare(reference: Answers, other: Answers) -> Differences:
    """How far `other` is from `reference`; boxes and masks of the reference's best queries."""
    best = reference.scores.topk(min(BEST, reference.scores.shape[1]), dim=1).indices
    ours, theirs = reference.of_best(best), other.of_best(best)
    return Differences(
        score=_largest(reference.scores, other.scores),
        box=_largest(ours.boxes, theirs.boxes),
        mask_iou=min(_iou(ours.masks, theirs.masks), _iou(ours.semantic, theirs.semantic)),
        relative=max(
            _relative(reference.scores, other.scores),
            _relative(reference.boxes, other.boxes),
            _relative(reference.masks, other.masks),
            _relative(reference.semantic, other.semantic),
        ),
    )


def require_same(reference: Answers, other: Answers, dtype: torch.dtype) -> Differences:
    """Raises OutputsDiffer where they are further apart than parameters in `dtype` explain."""
    if not (reference.finite and other.finite):
        raise OutputsDiffer("the outputs are not all numbers")
    told = compare(reference, other)
    if dtype == torch.float32:
        same = told.relative <= EXACT
    else:
        same = told.score <= SCORE and told.box <= BOX and told.mask_iou >= MASK_IOU
    if not same:
        raise OutputsDiffer(f"the outputs differ from the source's: {told}")
    return told


def _stock_model(source: Checkpoint) -> Sam3Model:
    transformers_logging.disable_progress_bar()
    model = Sam3Model.from_pretrained(source.path, dtype=torch.float32, local_files_only=True)
    return model.eval().requires_grad_(False)


def _ask_source(source: Checkpoint, stock: Sam3Model, device: torch.device) -> Answers:
    """With its own text encoder."""
    ids, mask = map(torch.from_numpy, Phrases.from_checkpoint(source.path).encode(TRIED_PHRASES))
    text = text_features(stock, ids, mask)
    nn.Module.to(stock, device)  # as torch declares it: transformers' decorator hides `self`
    return ask(stock, text.to(device), mask.to(device))


def _ask_written(
    written: Checkpoint, made: Sam3Model, dtype: torch.dtype, device: torch.device
) -> Answers:
    """With its file of text features."""
    book = PhraseBook(written, device, dtype)
    text, mask = book.features(TRIED_PHRASES)
    if book.encoder_loaded:
        raise OutputsDiffer(f"{FEATURES_FILE} does not know the phrases of the presets")
    nn.Module.to(made, device)
    return ask(made, text, mask)


def _largest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def _relative(one: Tensor, other: Tensor) -> float:
    return _largest(one, other) / max(1.0, float(one.abs().max()))


def _iou(one: Tensor, other: Tensor) -> float:
    """The smallest over all (h, w) maps of logits, where `one` is not tiny."""
    rms = one.square().mean((-1, -2), keepdim=True).sqrt()
    sure = one.abs() > TINY * rms
    both = ((one > 0) & (other > 0) & sure).sum((-1, -2))
    either = (((one > 0) | (other > 0)) & sure).sum((-1, -2))
    return float(torch.where(either > 0, both / either, torch.ones(())).min())
