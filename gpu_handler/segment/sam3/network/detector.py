"""SAM3 for many photos and many phrases at once: vision once per photo, the rest per pair.

The weights and the arithmetic are those of the stock `Sam3Model`. What differs is when things are
computed: what depends on the photo alone once per photo, any pairing of photos and phrases in one
batch, masks for the most certain queries only. Nothing in here makes the host wait for the device,
and shapes follow from those of the arguments alone.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from msgspec import Struct
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import Sam3DetrEncoderLayer, Sam3Model

from gpu_handler.segment.sam3.network.fusion import FusionLayer, GeometryToken, Prompt, make_prompt
from gpu_handler.segment.sam3.network.masks import MaskHead
from gpu_handler.segment.sam3.network.queries import QueryDecoder
from gpu_handler.segment.sam3.network.vision import VisionEncoder


class Options(Struct, frozen=True):
    """`geometry_token` is part of the published model; without it, the stock text-only answers.

    The others change the cost alone: `share_first` looks once per photo through the first layer's
    half that sees no words, `split_conv` splits the mask head's convolutions between photo and
    pair, and only the `top_queries` with the highest scores get masks.
    """

    geometry_token: bool = True
    share_first: bool = True
    split_conv: bool = True
    top_queries: int = 128


class Features(NamedTuple):
    """What is kept of N photos: `patches` (N, T, C), `geometry` (N, 1, C), two levels of pixels.

    `geometry` is empty, (N, 0, C), where the token is left out.
    """

    patches: Tensor
    geometry: Tensor
    middle: Tensor
    fine: Tensor


class Found(NamedTuple):
    """What P pairs came to; the Q most certain queries of each, best first.

    `scores` (P, Q) float32 in 0..1, the product of the sigmoids of `logits` (P, Q) float32 and
    `presence` (P,) float32; `boxes` (P, Q, 4) float32, x0 y0 x1 y1 in 0..1 of the photo, or a
    little beyond; `masks` (P, Q, h, h) and `semantic` (P, h, h) logits in the weights' dtype.
    """

    scores: Tensor
    logits: Tensor
    boxes: Tensor
    presence: Tensor
    masks: Tensor
    semantic: Tensor


class Detector(nn.Module):
    """The detector half of SAM3. Takes over the weights of the model, which is then of no use.

    The text encoder is not part of it: phrases come as features.
    """

    places: Tensor

    def __init__(self, model: Sam3Model, options: Options = Options()) -> None:  # noqa: B008
        super().__init__()
        self.options = options
        self.vision = VisionEncoder(model.vision_encoder)
        grid = self.vision.order.grid
        self.geometry = GeometryToken(model.geometry_encoder)
        self.fusion = nn.ModuleList(
            FusionLayer(layer)
            for layer in cast(Iterable[Sam3DetrEncoderLayer], model.detr_encoder.layers)
        )
        self.queries = QueryDecoder(model.detr_decoder, model.dot_product_scoring, grid)
        self.mask_head = MaskHead(model.mask_decoder, split=options.split_conv)
        self.top = min(options.top_queries, model.detr_decoder.query_embed.num_embeddings)
        width = model.text_projection.out_features
        encode = model.vision_encoder.neck.position_encoding
        places = encode(torch.Size((1, width, grid, grid)), torch.device("cpu"), torch.float32)
        # In float32, then rounded once: in bfloat16 the sines would be off by up to 0.03.
        places = places.flatten(2).transpose(1, 2).to(self.device, self.dtype)
        self.register_buffer("places", places.contiguous(), persistent=False)
        self.eval().requires_grad_(False)

    @property
    def image_size(self) -> int:
        """Side of the square that photos are stretched to, in pixels."""
        return self.vision.image_size

    @property
    def device(self) -> torch.device:
        return self.vision.patch_weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.vision.patch_weight.dtype

    def layers(self) -> list[tuple[nn.Module, str]]:
        """Modules and the names of their methods that are worth compiling, alike ones in a row.

        Nearly all of the time goes there. What lies between them is a few convolutions and small
        operations, which compile to the same calls.
        """
        first, *others = self.fusion
        halves = [(first, "look"), (first, "read")] if self.options.share_first else []
        whole = others if self.options.share_first else [first, *others]
        return [
            *((block, "forward") for block in self.vision.blocks),
            *halves,
            *((layer, "forward") for layer in whole),
            *((layer, "forward") for layer in self.queries.layers),
            (self.mask_head, "forward"),
        ]

    def encode(self, photos: Tensor) -> Features:
        """`photos`: (N, S, S, 3) uint8 sRGB on the device, stretched to the square."""
        levels = self.vision(photos)
        patches = levels.coarse.flatten(2).transpose(1, 2)
        geometry = patches[:, :0]
        if self.options.geometry_token:
            geometry = self.geometry(patches, self.places)
        if self.options.share_first:
            patches = cast(FusionLayer, self.fusion[0]).look(patches, self.places)
        head = self.mask_head
        return Features(
            patches, geometry, head.of_photo(0, levels.middle), head.of_photo(1, levels.fine)
        )

    def decode(
        self,
        features: Features,
        text: Tensor,
        text_mask: Tensor,
        photo_of: Tensor,
        text_of: Tensor,
    ) -> Found:
        """Pair p is photo `photo_of[p]` with phrase `text_of[p]`, both (P,) int64 on the device.

        `text` (T, L, C) are the phrases' features, `text_mask` (T, L) is False for padding.
        """
        prompt = make_prompt(
            text.index_select(0, text_of),
            text_mask.index_select(0, text_of),
            features.geometry.index_select(0, photo_of),
        )
        x = self._fuse(features.patches.index_select(0, photo_of), prompt)
        objects = self.queries(x, self.places, prompt)
        scores = objects.logits.sigmoid() * objects.presence.sigmoid()[:, None]
        scores, best = scores.topk(self.top, dim=1)
        # Compiled code tells tensors made outside of inference mode apart: here, none is left.
        photo_of = photo_of.clone()
        masks, semantic = self.mask_head(
            x, prompt, features.middle, features.fine, photo_of, _rows(objects.embeddings, best)
        )
        return Found(
            scores,
            objects.logits.gather(1, best),
            _rows(objects.boxes, best),
            objects.presence,
            masks,
            semantic,
        )

    def _fuse(self, x: Tensor, prompt: Prompt) -> Tensor:
        for number, layer in enumerate(cast(Iterable[FusionLayer], self.fusion)):
            if number == 0 and self.options.share_first:
                x = layer.read(x, prompt)
            else:
                x = layer(x, self.places, prompt)
        return x


def _rows(values: Tensor, best: Tensor) -> Tensor:
    """(P, Q, n) rows of `values` (P, R, n) that `best` (P, Q) names."""
    return values.gather(1, best[..., None].expand(-1, -1, values.shape[-1]))
