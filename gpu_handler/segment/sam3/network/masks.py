"""The mask head: pixel embeddings four times as fine as the patches, and the queries' masks."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import Sam3MaskDecoder

from gpu_handler.segment.sam3.network.attention import attend
from gpu_handler.segment.sam3.network.fusion import Prompt


class MaskHead(nn.Module):
    """The mask decoder. With `split`, what does not depend on the phrase is done once per photo.

    A level is relu(norm(conv(enlarged + features))), and conv is linear: conv(features) is the
    photo's, conv(enlarged) the pair's. A 3 × 3 convolution of a picture enlarged twice by
    repetition is a transposed convolution of the small one, 4 × 4 with stride 2, at 4/9 of the
    multiplications.
    """

    def __init__(self, decoder: Sam3MaskDecoder, *, split: bool) -> None:
        super().__init__()
        self.decoder = decoder
        convolutions = cast(Sequence[nn.Conv2d], decoder.pixel_decoder.conv_layers)
        norms = cast(Sequence[nn.GroupNorm], decoder.pixel_decoder.norms)
        level = _SplitLevel if split else _Level
        self.levels = nn.ModuleList(level(convolutions[n], norms[n]) for n in range(2))

    def of_photo(self, level: int, features: Tensor) -> Tensor:
        """What `forward` takes for a photo's features of level 0 (middle) or 1 (fine)."""
        return cast(_Level, self.levels[level]).of_photo(features)

    def forward(
        self,
        x: Tensor,
        prompt: Prompt,
        middle: Tensor,
        fine: Tensor,
        photo_of: Tensor,
        queries: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Mask logits (P, Q, h, h) of `queries` (P, Q, C), and (P, h, h) of the whole concept.

        `x` (P, T, C) are the patches after they have read the prompt, `middle` and `fine` both
        levels `of_photo` of N photos, and `photo_of` (P,) says which is whose. The second logits
        are undefined where the concept is absent.
        """
        d, grid = self.decoder, middle.shape[-1] // 2
        alone = d.prompt_cross_attn_norm(x)
        x = x + attend(d.prompt_cross_attn, alone, prompt.tokens, prompt.tokens, prompt.mask)
        pixels = x.transpose(1, 2).unflatten(2, (grid, grid))
        for level, features in zip(self.levels, (middle, fine), strict=True):
            pixels = level(pixels, features, photo_of)
        return self._masks(pixels, queries), d.semantic_projection(pixels)[:, 0]

    def _masks(self, pixels: Tensor, queries: Tensor) -> Tensor:
        """The projection of the pixels, a 1 × 1 convolution, goes into the queries instead.

        There are a hundred of them, and 83 thousand pixels.
        """
        projection = self.decoder.instance_projection
        wanted = self.decoder.mask_embedder(queries)
        folded = wanted @ projection.weight[:, :, 0, 0]
        flat = torch.baddbmm((wanted @ projection.bias)[..., None], folded, pixels.flatten(2))
        return flat.unflatten(2, pixels.shape[2:])


class _Level(nn.Module):
    """The level as the stock model computes it."""

    def __init__(self, conv: nn.Conv2d, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def of_photo(self, features: Tensor) -> Tensor:
        return features

    def forward(self, pixels: Tensor, features: Tensor, photo_of: Tensor) -> Tensor:
        enlarged = F.interpolate(pixels, scale_factor=2.0, mode="nearest")
        return F.relu(self.norm(self.conv(enlarged + features.index_select(0, photo_of))))


class _SplitLevel(_Level):
    """The level with its convolution split between photo and pair."""

    def __init__(self, conv: nn.Conv2d, norm: nn.GroupNorm) -> None:
        super().__init__(conv, norm)
        self.transposed = nn.Parameter(_over_repeated(conv.weight), requires_grad=False)

    def of_photo(self, features: Tensor) -> Tensor:
        out: Tensor = self.conv(features)
        return out

    def forward(self, pixels: Tensor, features: Tensor, photo_of: Tensor) -> Tensor:
        enlarged = F.conv_transpose2d(pixels, self.transposed, stride=2, padding=1)
        return F.relu(self.norm(enlarged + features.index_select(0, photo_of)))


def _over_repeated(weight: Tensor) -> Tensor:
    """(in, out, 4, 4) for conv_transpose2d from (out, in, 3, 3): see MaskHead.

    Along one axis output 2i + r sees input i + d wherever tap y of the 3 falls on the pixel pair of
    input i + d; of the 4 taps of the transposed kernel, tap a collects the ys listed here.
    """
    collects = torch.zeros(4, 3, dtype=torch.float32, device=weight.device)
    for a, ys in enumerate(((2,), (1, 2), (0, 1), (0,))):
        collects[a, list(ys)] = 1
    summed = torch.einsum("oiyx,ay,bx->ioab", weight.detach().float(), collects, collects)
    return summed.to(weight.dtype).contiguous()
