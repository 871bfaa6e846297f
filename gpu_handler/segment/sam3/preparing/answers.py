"""What the stock model says of a made picture: the ground on which two checkpoints are compared."""

from typing import cast

import torch
from msgspec import Struct
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3Model

PHRASES_AT_ONCE = 16


class Answers(Struct, frozen=True, eq=False):
    """What a model says of one picture and T phrases; all float32 on the CPU.

    `scores` are with the presence, in 0..1; `boxes` in 0..1; `masks` and `semantic` are logits.
    """

    scores: Tensor  # (T, Q)
    boxes: Tensor  # (T, Q, 4)
    masks: Tensor  # (T, Q, h, h)
    semantic: Tensor  # (T, h, h)

    def of_best(self, best: Tensor) -> "Answers":
        """Of the (T, B) queries alone."""
        rows = torch.arange(len(best))[:, None]
        picked = self.boxes[rows, best], self.masks[rows, best]
        return Answers(self.scores[rows, best], *picked, self.semantic)

    @property
    def finite(self) -> bool:
        parts = (self.scores, self.boxes, self.masks, self.semantic)
        return all(bool(part.isfinite().all()) for part in parts)


def made_picture(side: int) -> Tensor:
    """(1, 3, S, S) float32 in -1..1: a wall, a floor, a window and a lamp, shaded."""
    step = torch.arange(side, dtype=torch.float32) / side
    y, x = step[:, None], step[None, :]
    red, green, blue = 200 + 40 * x + 0 * y, 190 + 30 * y + 0 * x, 170 + 10 * x * y
    picture = torch.stack((red, green, blue))
    shapes = (
        ((y > 0.65) & (x >= 0), (130.0, 90.0, 60.0)),
        ((y > 0.15) & (y < 0.5) & (x > 0.1) & (x < 0.4), (150.0, 200.0, 240.0)),
        ((x - 0.7) ** 2 + (y - 0.3) ** 2 < 0.015, (250.0, 240.0, 180.0)),
    )
    for inside, color in shapes:
        shaded = torch.tensor(color)[:, None, None] - 20 * x * y
        picture = torch.where(inside, shaded, picture)
    return ((picture - 127.5) / 127.5)[None]


def ask(model: Sam3Model, text: Tensor, text_mask: Tensor) -> Answers:
    """One photo, T phrases; `text` (T, L, d) and `text_mask` (T, L) bool on the model's device."""
    picture = made_picture(model.config.image_size).to(text.device)
    told: list[tuple[Tensor, ...]] = []
    with torch.no_grad():
        seen = model.get_vision_features(picture)
        for row in range(len(text)):
            features = BaseModelOutputWithPooling(pooler_output=text[row : row + 1])
            out = model(
                vision_embeds=seen, text_embeds=features, attention_mask=text_mask[row : row + 1]
            )
            present: Tensor = out.presence_logits.float().sigmoid()
            scores: Tensor = out.pred_logits.float().sigmoid() * present
            shapes = (out.pred_boxes, out.pred_masks, out.semantic_seg[:, 0])
            told.append(tuple(t.float().cpu() for t in (scores, *shapes)))
    return Answers(*(torch.cat(parts) for parts in zip(*told, strict=True)))


def text_features(model: Sam3Model, ids: Tensor, mask: Tensor) -> Tensor:
    """(T, 32) token ids and mask, on the model's device -> (T, 32, d) in its dtype."""
    parts: list[Tensor] = []
    pairs = zip(ids.split(PHRASES_AT_ONCE), mask.split(PHRASES_AT_ONCE), strict=True)
    with torch.no_grad():
        for some, some_mask in pairs:
            told = model.get_text_features(cast("torch.LongTensor", some), some_mask)
            features = cast("BaseModelOutputWithPooling", told).pooler_output
            assert features is not None
            parts.append(features)
    return torch.cat(parts)
