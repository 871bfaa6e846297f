"""The vision encoder: one photo in, three levels of features out, the stock model's own numbers.

Most layers of the ViT look inside windows of 24 × 24 patches only. The stock layers cut the grid
into windows and put it together again around each of them; here tokens stay in window order from
the first layer to the last. Everything but attention works token by token, and the layers that look
at the whole photo do not mind the order as long as each token keeps its own place in the rotary
embedding.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import Sam3VisionModel, Sam3ViTLayer, Sam3ViTModel

from gpu_handler.segment.sam3.network.attention import fused, join_heads, split_heads

WHITE = 127.5
"""(x / 255 - 0.5) / 0.5 = (x - 127.5) / 127.5: the mean and deviation of SAM3's processor."""


class Levels(NamedTuple):
    """Features of a photo, (N, C, s, s) at 1, 2 and 4 times the patch grid."""

    coarse: Tensor
    middle: Tensor
    fine: Tensor


class WindowOrder(NamedTuple):
    """A square grid of `grid` patches, cut into windows of `side`: both in patches."""

    grid: int
    side: int

    def tokens(self, x: Tensor) -> Tensor:
        """(N, grid, grid, C) to (N, grid * grid, C), window by window."""
        count = self.grid // self.side
        cut = x.unflatten(2, (count, self.side)).unflatten(1, (count, self.side))
        return cut.transpose(2, 3).flatten(1, 4)

    def image(self, tokens: Tensor) -> Tensor:
        """The inverse of `tokens`."""
        count = self.grid // self.side
        cut = tokens.unflatten(1, (count, count, self.side, self.side))
        return cut.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class Block(nn.Module):
    """One layer of the ViT on tokens in window order.

    The channels of queries and keys are reordered, the same for both, so that the pairs that the
    rotary embedding turns lie in two halves instead of side by side: their products stay the same,
    and the turn needs no shuffling.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, layer: Sam3ViTLayer, cosine: Tensor, sine: Tensor) -> None:
        """`cosine` and `sine`: (T, D / 2) float32 for each token a window or the photo has."""
        super().__init__()
        attention = layer.attention
        self.heads = attention.num_attention_heads
        self.scale = float(attention.scaling)
        self.norm1, self.norm2 = layer.layer_norm1, layer.layer_norm2
        self.qkv = fused(attention.q_proj, attention.k_proj, attention.v_proj)
        _halve_pairs(self.qkv, self.heads)
        self.out = attention.o_proj
        self.mlp = layer.mlp
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C) to the same."""
        x = x + self._attention(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _attention(self, x: Tensor) -> Tensor:
        reach = self.cosine.shape[0]
        windows = self.qkv(x).unflatten(1, (-1, reach)).flatten(0, 1)
        q, k, v = (split_heads(part, self.heads) for part in windows.chunk(3, -1))
        seen = F.scaled_dot_product_attention(self._turn(q), self._turn(k), v, scale=self.scale)
        out: Tensor = self.out(join_heads(seen))
        return out.unflatten(0, (x.shape[0], -1)).flatten(1, 2)

    def _turn(self, x: Tensor) -> Tensor:
        """The rotary embedding of (B, heads, T, D), computed in float32 as the stock model does."""
        a, b = x.float().chunk(2, -1)
        turned = (a * self.cosine - b * self.sine, b * self.cosine + a * self.sine)
        return torch.cat(turned, -1).to(x.dtype)


class VisionEncoder(nn.Module):
    """The ViT and the three levels of its neck that are used; the stock model computes a fourth."""

    position: Tensor

    def __init__(self, model: Sam3VisionModel) -> None:
        """Takes over the weights of `model`, which is of no further use."""
        super().__init__()
        backbone: Sam3ViTModel = model.backbone
        config = backbone.config
        patches = backbone.embeddings.patch_embeddings.projection
        self.patch = int(patches.kernel_size[0])
        self.image_size = cast(int, config.image_size)
        self.order = WindowOrder(self.image_size // self.patch, int(config.window_size))
        # (C, 3, p, p) to (C, p * p * 3): photos come with their channels last.
        weight = patches.weight.permute(0, 2, 3, 1).flatten(1)
        self.patch_weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        embeddings, grid = backbone.embeddings, self.order.grid
        position = embeddings._tile_position_embeddings(  # pyright: ignore[reportPrivateUsage]
            embeddings.position_embeddings, grid, grid
        )
        position = self.order.tokens(position.detach().unflatten(1, (grid, grid)))
        self.register_buffer("position", position, persistent=False)
        self.norm = backbone.layer_norm
        self.blocks = nn.ModuleList(
            _block(layer, self.order) for layer in cast(Iterable[Sam3ViTLayer], backbone.layers)
        )
        fine, middle, coarse = model.neck.fpn_layers[:3]
        self.fine, self.middle, self.coarse = fine, middle, coarse

    def forward(self, photos: Tensor) -> Levels:
        """`photos`: (N, S, S, 3) uint8 sRGB."""
        x = self._embed(photos)
        for block in self.blocks:
            x = block(x)
        image = self.order.image(x).permute(0, 3, 1, 2)
        return Levels(self.coarse(image), self.middle(image), self.fine(image))

    def _embed(self, photos: Tensor) -> Tensor:
        """(N, T, C) in window order: patches through one matrix, their places added."""
        grid, p = self.order.grid, self.patch
        patches = photos.unflatten(2, (grid, p)).unflatten(1, (grid, p)).transpose(2, 3)
        pixels = self.order.tokens(patches.flatten(3)).float()
        x = F.linear(((pixels - WHITE) / WHITE).to(self.patch_weight.dtype), self.patch_weight)
        out: Tensor = self.norm(x + self.position)
        return out


def _block(layer: Sam3ViTLayer, order: WindowOrder) -> Block:
    places = layer.position_ids
    cosine, sine = layer.rotary_emb(places, places)
    if layer.window_size == 0:
        cosine, sine = (
            order.tokens(table.unflatten(1, (order.grid, order.grid))) for table in (cosine, sine)
        )
    # (1, T, D) with every angle twice, side by side.
    return Block(layer, cosine[0, :, ::2].contiguous(), sine[0, :, ::2].contiguous())


def _halve_pairs(qkv: nn.Linear, heads: int) -> None:
    """Reorder each head's channels of queries and keys: the even ones first, then the odd ones."""
    for values in (qkv.weight.data, qkv.bias.data):
        third = values.shape[0] // 3
        for part in (values[:third], values[third : 2 * third]):
            pairs: Tensor = part.unflatten(0, (heads, -1, 2))
            part.copy_(pairs.transpose(1, 2).flatten(0, 2).clone())
