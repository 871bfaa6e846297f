"""The stock model asked for any pairs of photos and phrases, the slow and obvious way."""

from typing import NamedTuple, cast

import torch
from torch import LongTensor, Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3Model


class Answer(NamedTuple):
    """The stock output of one pair: logits (Q,), boxes (Q, 4), presence (), masks, semantic."""

    logits: Tensor
    boxes: Tensor
    presence: Tensor
    masks: Tensor
    semantic: Tensor


def pixel_values(photos: Tensor) -> Tensor:
    """(N, 3, S, S) float32 of (N, S, S, 3) uint8, as the processor documents it."""
    return (photos.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5


def text_features(model: Sam3Model, ids: Tensor, mask: Tensor) -> Tensor:
    """(T, L, C)."""
    out = model.get_text_features(cast(LongTensor, ids), mask)
    return cast(Tensor, cast(BaseModelOutputWithPooling, out).pooler_output)


def answer(
    model: Sam3Model, photo: Tensor, ids: Tensor, mask: Tensor, *, geometry_token: bool
) -> Answer:
    """One photo (S, S, 3) with one phrase (L,), the whole model, as the documentation shows it.

    With `geometry_token` the model is given a box with the label -10, which is masked out: it then
    computes its geometry tokens and appends them to the prompt.
    """
    dtype = model.text_projection.weight.dtype
    boxes = {
        "input_boxes": torch.zeros(1, 1, 4, dtype=dtype),
        "input_boxes_labels": torch.full((1, 1), -10),
    }
    out = model(
        pixel_values=pixel_values(photo[None]),
        input_ids=ids[None],
        attention_mask=mask[None].long(),
        **(boxes if geometry_token else {}),
    )
    return Answer(
        out.pred_logits[0],
        out.pred_boxes[0],
        out.presence_logits[0, 0],
        out.pred_masks[0],
        out.semantic_seg[0, 0],
    )
