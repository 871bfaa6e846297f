"""Queries that become objects: boxes, scores, and whether the concept is there at all.

Coordinates, boxes and what is computed from them stay in float32 whatever the weights are: in
bfloat16 a box is off by about two pixels of 1008.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import (
    Sam3DecoderMLP,
    Sam3DetrDecoder,
    Sam3DetrDecoderLayer,
    Sam3DotProductScoring,
)

from gpu_handler.segment.sam3.network.attention import attend
from gpu_handler.segment.sam3.network.fusion import Prompt


class Objects(NamedTuple):
    """What the queries of each pair came to.

    `embeddings` (P, Q, C); `boxes` (P, Q, 4) float32, x0 y0 x1 y1 in 0..1 of the photo; `logits`
    (P, Q) float32; `presence` (P,) float32 logits, within ±10.
    """

    embeddings: Tensor
    boxes: Tensor
    logits: Tensor
    presence: Tensor


class BoxSense(nn.Module):
    """What all layers share about boxes: where a query is, what lies near it, how it moves."""

    steps: Tensor

    def __init__(self, decoder: Sam3DetrDecoder, grid: int) -> None:
        """`grid`: patches along a side of the photo."""
        super().__init__()
        self.encode = decoder.position_encoding.encode_boxes
        self.place_head = decoder.ref_point_head
        self.across, self.down = decoder.box_rpb_embed_x, decoder.box_rpb_embed_y
        self.norm, self.head = decoder.output_layer_norm, decoder.box_head
        steps = torch.arange(grid, dtype=torch.float32, device=decoder.query_embed.weight.device)
        self.register_buffer("steps", steps / grid, persistent=False)

    def place(self, boxes: Tensor, dtype: torch.dtype) -> Tensor:
        """(P, 1 + Q, C): the queries' position encoding, zero for the presence token."""
        return F.pad(self.place_head(self.encode(boxes).to(dtype)), (0, 0, 1, 0))

    def bias(self, boxes: Tensor, dtype: torch.dtype) -> Tensor:
        """(P, heads, 1 + Q, T): where a patch lies relative to a query's box, on a log scale."""
        x0, y0, x1, y1 = _corners(boxes).unbind(-1)
        across = self._distances(self.across, x0, x1)
        down = self._distances(self.down, y0, y1)
        both = (down[..., :, None] + across[..., None, :]).flatten(3)
        return F.pad(both.to(dtype), (0, 0, 1, 0))

    def move(self, boxes: Tensor, h: Tensor) -> Tensor:
        """(P, Q, 4) float32 centres and sizes, after the queries `h` have had their say."""
        return (self.head(self.norm(h[:, 1:])).float() + _inverse_sigmoid(boxes)).sigmoid()

    def _distances(self, embed: Sam3DecoderMLP, low: Tensor, high: Tensor) -> Tensor:
        """(P, heads, Q, grid) of the distances between grid lines and two edges, (P, Q) each."""
        distance = 8 * (self.steps[:, None] - torch.stack((low, high), -1)[:, :, None])
        scaled = distance.sign() * (distance.abs() + 1).log2() / math.log2(8)
        out: Tensor = embed(scaled.to(embed.layer1.weight.dtype))
        return out.permute(0, 3, 1, 2)


class QueryLayer(nn.Module):
    """One layer of the DETR decoder; the presence token is the first of the queries."""

    def __init__(self, layer: Sam3DetrDecoderLayer, sense: BoxSense) -> None:
        super().__init__()
        self.layer, self.sense = layer, sense

    def forward(
        self, h: Tensor, boxes: Tensor, prompt: Prompt, keys: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`h` (P, 1 + Q, C) and `boxes` (P, Q, 4), centres and sizes, one layer further.

        `keys` and `x` (P, T, C) are the patches with and without their position encoding.
        """
        layer, sense = self.layer, self.sense
        own = sense.place(boxes, h.dtype)
        placed = h + own
        h = layer.self_attn_layer_norm(h + attend(layer.self_attn, placed, placed, h))
        words = prompt.tokens
        h = layer.text_cross_attn_layer_norm(
            h + attend(layer.text_cross_attn, h + own, words, words, prompt.mask)
        )
        bias = sense.bias(boxes, h.dtype)
        h = layer.vision_cross_attn_layer_norm(
            h + attend(layer.vision_cross_attn, h + own, keys, x, bias)
        )
        h = layer.mlp_layer_norm(h + layer.mlp(h))
        return h, sense.move(boxes, h)


class QueryDecoder(nn.Module):
    """The DETR decoder with its heads, and the score of each query against the prompt."""

    def __init__(self, decoder: Sam3DetrDecoder, scoring: Sam3DotProductScoring, grid: int) -> None:
        """`grid`: patches along a side of the photo."""
        super().__init__()
        self.decoder, self.scoring = decoder, scoring
        sense = BoxSense(decoder, grid)
        self.layers = nn.ModuleList(
            QueryLayer(layer, sense)
            for layer in cast(Iterable[Sam3DetrDecoderLayer], decoder.layers)
        )

    def forward(self, x: Tensor, places: Tensor, prompt: Prompt) -> Objects:
        """`x` (P, T, C): the patches after they have read the prompt."""
        d, keys = self.decoder, x + places
        h = torch.cat((d.presence_token.weight, d.query_embed.weight))[None]
        boxes = d.reference_points.weight.float().sigmoid()[None]
        h, boxes = (start.repeat(x.shape[0], 1, 1) for start in (h, boxes))
        for layer in self.layers:
            h, boxes = layer(h, boxes, prompt, keys, x)
        return self.judge(h, boxes, prompt)

    def judge(self, h: Tensor, boxes: Tensor, prompt: Prompt) -> Objects:
        """What the queries came to, after the last layer."""
        d = self.decoder
        embeddings = d.output_layer_norm(h[:, 1:])
        logits = self.scoring(embeddings[None], prompt.tokens, prompt.seen)[0, :, :, 0]
        presence = d.presence_head(d.presence_layer_norm(h[:, :1])).flatten().float()
        limit = d.clamp_presence_logit_max_val
        return Objects(embeddings, _corners(boxes), logits.float(), presence.clamp(-limit, limit))


def _inverse_sigmoid(x: Tensor, epsilon: float = 1e-3) -> Tensor:
    return (x.clamp(min=epsilon) / (1 - x).clamp(min=epsilon)).log()


def _corners(boxes: Tensor) -> Tensor:
    """Centre and size to two corners."""
    x, y, width, height = boxes.unbind(-1)
    return torch.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), -1)
