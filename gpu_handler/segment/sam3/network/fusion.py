"""Where photo and phrase meet: the geometry token, and the encoder in which patches read words."""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import (
    Sam3DetrEncoderLayer,
    Sam3GeometryEncoder,
    Sam3GeometryEncoderLayer,
)

from gpu_handler.segment.sam3.network.attention import attend


class Prompt(NamedTuple):
    """What the patches and queries of each pair read: words, and the photo's geometry token.

    `tokens` (P, L, C); `seen` (P, L) bool, False for padding.
    """

    tokens: Tensor
    seen: Tensor

    @property
    def mask(self) -> Tensor:
        """`seen` as attention takes it."""
        return self.seen[:, None, None, :]


def make_prompt(text: Tensor, text_mask: Tensor, geometry: Tensor) -> Prompt:
    """`text` (P, L, C) with its mask (P, L), and `geometry` (P, 1, C) or none, (P, 0, C)."""
    seen = F.pad(text_mask.bool(), (0, geometry.shape[1]), value=True)
    return Prompt(torch.cat((text, geometry), 1), seen)


class GeometryToken(nn.Module):
    """The token that stands for "no boxes given", after it has looked at the photo.

    Meta's detector appends it to every prompt; the stock `Sam3Model` leaves it out where no box is
    given, and finds less for it. It depends on the photo alone. Equal to the stock model's answer
    for one box that is masked out (label -10), without torchvision.
    """

    def __init__(self, encoder: Sam3GeometryEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, patches: Tensor, places: Tensor) -> Tensor:
        """(N, 1, C) from `patches` (N, T, C) and their position encoding (1, T, C)."""
        encoder = self.encoder
        start = encoder.cls_embed.weight[None].expand(patches.shape[0], -1, -1)
        token: Tensor = encoder.prompt_layer_norm(encoder.final_proj(start))
        keys = patches + places
        for layer in cast(Iterable[Sam3GeometryEncoderLayer], encoder.layers):
            alone = layer.layer_norm1(token)
            token = token + attend(layer.self_attn, alone, alone, alone)
            token = token + attend(layer.cross_attn, layer.layer_norm2(token), keys, patches)
            token = token + layer.mlp(layer.layer_norm3(token))
        out: Tensor = encoder.output_layer_norm(token)
        return out


class FusionLayer(nn.Module):
    """One layer of the DETR encoder: patches look at each other, then at the prompt."""

    def __init__(self, layer: Sam3DetrEncoderLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, places: Tensor, prompt: Prompt) -> Tensor:
        """(P, T, C) to the same; `places` (1, T, C) is the patches' position encoding."""
        return self.read(self.look(x, places), prompt)

    def look(self, x: Tensor, places: Tensor) -> Tensor:
        """The half that sees no words: in the first layer it is the same for every phrase."""
        alone = self.layer.layer_norm1(x)
        placed = alone + places
        return x + attend(self.layer.self_attn, placed, placed, alone)

    def read(self, x: Tensor, prompt: Prompt) -> Tensor:
        """The half that reads the prompt."""
        layer, words = self.layer, prompt.tokens
        x = x + attend(layer.cross_attn, layer.layer_norm2(x), words, words, prompt.mask)
        out: Tensor = x + layer.mlp(layer.layer_norm3(x))
        return out
