"""Correctness before speed: ours against the stock model on the same weights and inputs.

The stock model is given a box that is masked out, which adds the geometry token that ours has.
"""

import contextlib
from collections.abc import Generator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3ImageSegmentationOutput

from gpu_handler.segment.sam3.network.detector import Found
from tests.benchmarks.sam3.ours import Way, eager
from tests.benchmarks.sam3.setting import Setting
from tests.benchmarks.sam3.stock import Stock
from tests.benchmarks.table import heading, line
from tests.checkpoints import box_pooling

PHRASES_CHECKED = 4
MASKED_OUT = -10
"""The label of a padding box."""

EXACT = 1e-4
"""Largest relative error in float32: ‖ours - stock‖ / ‖stock‖ of each output."""

ROUNDING = 0.02
"""In bf16: no further from the stock model in fp32 than stock bf16 is, times `ROUNDED`, + 0.02."""


class Errors(NamedTuple):
    """‖ours - stock‖ / ‖stock‖ of each output."""

    scores: float
    logits: float
    boxes: float
    presence: float
    masks: float
    semantic: float


ROUNDED = Errors(scores=4, logits=1.5, boxes=1.5, presence=4, masks=1.5, semantic=1.5)
"""Presence is one number per phrase, and every score of the phrase is off with it: over so few of
them, one bf16 run may be several times as far off as another by chance."""


def check_equality(setting: Setting) -> None:
    """Print the relative errors of every output. Raises AssertionError beyond the bounds."""
    with _without_tf32():
        truth = _stock_outputs(setting.reference)
        ways = setting.ways
        if "eager fp32" not in ways:
            ways = {"eager fp32": eager(setting.reference.model), **ways}
        half = _stock_outputs(setting.stocks["stock bf16"])
        limits = {
            torch.float32: Errors(*[EXACT] * len(Errors._fields)),
            torch.bfloat16: Errors(
                *(f * e + ROUNDING for f, e in zip(ROUNDED, _errors(half, truth), strict=True))
            ),
        }
        heading("Equality with the stock model, relative error", *Errors._fields)
        for name, way in ways.items():
            _check(setting, name, way, truth, limits[way.detector.dtype])


def _check(setting: Setting, name: str, way: Way, truth: Found, limits: Errors) -> None:
    errors = _errors(_outputs(setting, way), truth)
    line(name, *(f"{error:.1e}" for error in errors))
    line("  allowed", *(f"{limit:.1e}" for limit in limits))
    for output, error in errors._asdict().items():
        setting.report.equality[f"{name} {output}"] = error
        limit = getattr(limits, output)
        assert error <= limit, f"{name}: {output} is off by {error:.2e}, allowed {limit:.2e}"


def _outputs(setting: Setting, way: Way) -> Found:
    pairs = setting.pairs(1, PHRASES_CHECKED, way.detector.dtype)
    return way.decode(way.encode(setting.photos(1)), *pairs)


def _stock_outputs(stock: Stock) -> Found:
    """All queries of the first phrases, best first."""
    return _joined([_sorted(_with_geometry(stock, phrase)) for phrase in range(PHRASES_CHECKED)])


def _with_geometry(stock: Stock, phrase: int) -> Sam3ImageSegmentationOutput:
    words = BaseModelOutputWithPooling(pooler_output=cast(Any, stock.text[phrase][None]))
    with box_pooling():
        out = stock.model(
            vision_embeds=stock.seen,
            text_embeds=cast(Any, words),
            attention_mask=stock.mask[phrase][None],
            input_boxes=torch.zeros(1, 1, 4, device=stock.device, dtype=stock.dtype),
            input_boxes_labels=torch.full((1, 1), MASKED_OUT, device=stock.device),
        )
    return cast(Sam3ImageSegmentationOutput, out)


def _sorted(out: Sam3ImageSegmentationOutput) -> Found:
    logits, boxes, presence, masks, semantic = (
        cast(Tensor, t).float()
        for t in (
            out.pred_logits,
            out.pred_boxes,
            out.presence_logits,
            out.pred_masks,
            out.semantic_seg,
        )
    )
    scores, best = (logits.sigmoid() * presence.sigmoid()).sort(dim=1, descending=True)
    order = best[0]
    return Found(
        scores, logits[:, order], boxes[:, order], presence[:, 0], masks[:, order], semantic[:, 0]
    )


def _joined(parts: list[Found]) -> Found:
    return Found(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _errors(found: Found, truth: Found) -> Errors:
    """Queries are told apart by their boxes: near-equal scores may come in another order."""
    nearest = torch.cdist(found.boxes.float(), truth.boxes).argmin(-1)
    rows = torch.arange(nearest.shape[0], device=nearest.device)[:, None]
    return Errors(
        _distance(found.scores, truth.scores[:, : found.scores.shape[1]]),
        _distance(found.logits, truth.logits[rows, nearest]),
        _distance(found.boxes, truth.boxes[rows, nearest]),
        _distance(found.presence, truth.presence),
        _distance(found.masks, truth.masks[rows, nearest]),
        _distance(found.semantic, truth.semantic),
    )


def _distance(value: Tensor, truth: Tensor) -> float:
    return float((value.float() - truth).norm() / truth.norm())


@contextlib.contextmanager
def _without_tf32() -> Generator[None]:
    """Convolutions may round fp32 to 10 bits by default; the comparison is of exact arithmetic."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
