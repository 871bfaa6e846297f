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

from gpu_handler.segment.sam3.attention import attend
from gpu_handler.segment.sam3.fusion import Prompt


class Objects(NamedTuple):
    """What the queries of each pair came to.

    `embeddings` (P, Q, C); `boxes` (P, Q, 4) float32, x0 y0 x1 y1 in 0..1 of the photo; `logits`
    (P, Q) float32; `presence` (P,) float32 logits, within ±10.
    """

    embeddings: Tensor
    boxes: Tensor
    logits: Tensor
    presence: Tensor


class QueryLayer(nn.Module):
    """One layer of the DETR decoder; the presence token is the first of the queries."""

    def __init__(self, layer: Sam3DetrDecoderLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(
        self,
        h: Tensor,
        own: Tensor,
        prompt: tuple[Tensor, Tensor],
        keys: Tensor,
        x: Tensor,
        bias: Tensor,
    ) -> Tensor:
        """(P, 1 + Q, C) to the same.

        `own` is the queries' position encoding, `prompt` tokens and mask, `keys` and `x` the
        patches with and without theirs, `bias` (P, heads, 1 + Q, T) from the boxes.
        """
        layer, (tokens, mask) = self.layer, prompt
        placed = h + own
        h = layer.self_attn_layer_norm(h + attend(layer.self_attn, placed, placed, h))
        h = layer.text_cross_attn_layer_norm(
            h + attend(layer.text_cross_attn, h + own, tokens, tokens, mask)
        )
        h = layer.vision_cross_attn_layer_norm(
            h + attend(layer.vision_cross_attn, h + own, keys, x, bias)
        )
        out: Tensor = layer.mlp_layer_norm(h + layer.mlp(h))
        return out


class QueryDecoder(nn.Module):
    """The DETR decoder with its heads, and the score of each query against the prompt."""

    steps: Tensor

    def __init__(self, decoder: Sam3DetrDecoder, scoring: Sam3DotProductScoring, grid: int) -> None:
        """`grid`: patches along a side of the photo."""
        super().__init__()
        self.decoder, self.scoring = decoder, scoring
        self.layers = nn.ModuleList(
            QueryLayer(layer) for layer in cast(Iterable[Sam3DetrDecoderLayer], decoder.layers)
        )
        steps = torch.arange(grid, dtype=torch.float32, device=decoder.query_embed.weight.device)
        self.register_buffer("steps", steps / grid, persistent=False)

    def forward(self, x: Tensor, places: Tensor, prompt: Prompt) -> Objects:
        """`x` (P, T, C): the patches after they have read the prompt."""
        d = self.decoder
        start = torch.cat((d.presence_token.weight, d.query_embed.weight))
        h = start[None].expand(x.shape[0], -1, -1)
        boxes = d.reference_points.weight.float().sigmoid()[None].expand(x.shape[0], -1, -1)
        keys, read = x + places, (prompt.tokens, prompt.mask)
        embeddings = h[:, 1:]
        for layer in self.layers:
            own = d.ref_point_head(d.position_encoding.encode_boxes(boxes).to(x.dtype))
            bias = F.pad(self._bias(boxes).to(x.dtype), (0, 0, 1, 0))
            h = layer(h, F.pad(own, (0, 0, 1, 0)), read, keys, x, bias)
            embeddings = d.output_layer_norm(h[:, 1:])
            boxes = (d.box_head(embeddings).float() + _inverse_sigmoid(boxes)).sigmoid()
        logits = self.scoring(embeddings[None], prompt.tokens, prompt.seen)[0, :, :, 0]
        return Objects(embeddings, _corners(boxes), logits.float(), self._presence(h[:, :1]))

    def _presence(self, token: Tensor) -> Tensor:
        d = self.decoder
        logit = d.presence_head(d.presence_layer_norm(token)).flatten().float()
        limit = d.clamp_presence_logit_max_val
        return logit.clamp(-limit, limit)

    def _bias(self, boxes: Tensor) -> Tensor:
        """(P, heads, Q, T): where a patch lies relative to a query's box, on a log scale."""
        x0, y0, x1, y1 = _corners(boxes).unbind(-1)
        across = self._distances(self.decoder.box_rpb_embed_x, x0, x1)
        down = self._distances(self.decoder.box_rpb_embed_y, y0, y1)
        return (down[..., :, None] + across[..., None, :]).flatten(3)

    def _distances(self, embed: Sam3DecoderMLP, low: Tensor, high: Tensor) -> Tensor:
        """(P, heads, Q, grid) of the distances between grid lines and two edges, (P, Q) each."""
        distance = 8 * (self.steps[:, None] - torch.stack((low, high), -1)[:, :, None])
        scaled = distance.sign() * (distance.abs() + 1).log2() / math.log2(8)
        out: Tensor = embed(scaled.to(embed.layer1.weight.dtype))
        return out.permute(0, 3, 1, 2)


def _inverse_sigmoid(x: Tensor, epsilon: float = 1e-3) -> Tensor:
    return (x.clamp(min=epsilon) / (1 - x).clamp(min=epsilon)).log()


def _corners(boxes: Tensor) -> Tensor:
    """Centre and size to two corners."""
    x, y, width, height = boxes.unbind(-1)
    return torch.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), -1)
