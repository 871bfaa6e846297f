"""The straightforward way: the stock model, called as the documentation of transformers shows.

`photo` is that page's example for each concept: picture and phrase in, masks at the photo's size
out. `photo_reusing` is its section on repeated prompts: the vision features once per photo, the
text features given.
"""

from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import (
    Sam3ImageSegmentationOutput,
    Sam3Model,
    Sam3VisionEncoderOutput,
)

KEPT = 8
"""Instances of each concept in each photo: random weights find none or all of them, so the most
certain few count as found."""


class Stock:
    """One stock model in one dtype, and what its calls take."""

    def __init__(self, model: Sam3Model, ids: Tensor, mask: Tensor, picture: NDArray[np.uint8]):
        """`ids` and `mask`: (K, 32) int64 phrases; `picture`: (S, S, 3) uint8."""
        self.model, self.picture = model, picture
        self.device, self.dtype = model.device, next(model.parameters()).dtype
        self.ids, self.mask = ids.to(self.device), mask.to(self.device)

    @cached_property
    def seen(self) -> Sam3VisionEncoderOutput:
        """The vision features of the picture, computed when first asked for."""
        return self.vision(self.pixels())

    @cached_property
    def text(self) -> Tensor:
        """(K, 32, C) features of all phrases."""
        features = cast(Any, self.model).get_text_features(self.ids, self.mask)
        return cast(Tensor, features.pooler_output)

    def pixels(self) -> Tensor:
        """(1, 3, S, S) float32 on the device: what the processor makes of the picture."""
        scaled = torch.from_numpy(self.picture).permute(2, 0, 1).float().div(255)
        return scaled.sub(0.5).div(0.5)[None].to(self.device)

    def vision(self, pixels: Tensor) -> Sam3VisionEncoderOutput:
        return self.model.get_vision_features(pixel_values=pixels)

    def pair(
        self, phrase: int, seen: Sam3VisionEncoderOutput | None = None
    ) -> Sam3ImageSegmentationOutput:
        """One concept in one photo whose vision features are there."""
        words = BaseModelOutputWithPooling(pooler_output=cast(Any, self.text[phrase][None]))
        out = self.model(
            vision_embeds=seen or self.seen,
            text_embeds=cast(Any, words),
            attention_mask=self.mask[phrase][None],
        )
        return cast(Sam3ImageSegmentationOutput, out)

    def photo(self, concepts: int) -> list[NDArray[np.bool_]]:
        """Masks of the first `concepts` phrases, each with a call of its own."""
        found: list[NDArray[np.bool_]] = []
        for phrase in range(concepts):
            out = self.model(
                pixel_values=self.pixels(),
                input_ids=self.ids[phrase][None],
                attention_mask=self.mask[phrase][None],
            )
            found.append(masks_at(cast(Sam3ImageSegmentationOutput, out), self.photo_size))
        return found

    def photo_reusing(self, concepts: int) -> list[NDArray[np.bool_]]:
        seen = self.vision(self.pixels())
        return [masks_at(self.pair(phrase, seen), self.photo_size) for phrase in range(concepts)]

    @property
    def photo_size(self) -> tuple[int, int]:
        """Height and width of the photo that the picture was made of: 3 : 4, 3 MP at full size."""
        side = self.picture.shape[0]
        return side * 3 // 2, side * 2


def masks_at(out: Sam3ImageSegmentationOutput, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(KEPT, height, width) on the host: the documented post-processing of one photo."""
    logits, presence, masks = (
        cast(Tensor, t)[0] for t in (out.pred_logits, out.presence_logits, out.pred_masks)
    )
    scores = logits.sigmoid() * presence.sigmoid()
    threshold = scores.topk(KEPT + 1).values[-1]
    kept = masks.sigmoid()[scores > threshold]
    large = F.interpolate(kept[None], size=size, mode="bilinear", align_corners=False)[0]
    return (large > 0.5).cpu().numpy()
