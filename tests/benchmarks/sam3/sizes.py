"""The models that are measured: the real architecture at three sizes, with random weights."""

import math
from enum import StrEnum

import torch
from torch import Tensor
from transformers import Sam3Config
from transformers.initialization import no_init_weights
from transformers.models.sam3.modeling_sam3 import Sam3Model

from tests.checkpoints import tiny_config

PHRASE_TOKENS = 32
"""What the stock processor pads every phrase to."""


class Size(StrEnum):
    FULL = "full"  # facebook/sam3: 840 million parameters, 1008 × 1008
    MEDIUM = "medium"  # half the side, a ViT of 12 layers: what two CPU cores do in a second
    TINY = "tiny"  # what the tests use: seconds for the whole benchmark


def configuration(size: Size) -> Sam3Config:
    match size:
        case Size.FULL:
            return Sam3Config()
        case Size.MEDIUM:
            return _medium()
        case Size.TINY:
            return tiny_config()


def _medium() -> Sam3Config:
    """Half of everything along a side: the photo, the windows, the widths of ViT and decoder."""
    part = {"hidden_size": 128, "num_attention_heads": 8}
    stack = {**part, "intermediate_size": 1024}
    return Sam3Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam3_vit_model",
                "hidden_size": 512,
                "intermediate_size": 2368,
                "num_hidden_layers": 12,
                "num_attention_heads": 8,
                "image_size": 504,
                "patch_size": 14,
                "pretrain_image_size": 168,
                "window_size": 12,
                "global_attn_indexes": [5, 11],
            },
            "fpn_hidden_size": 128,
            "backbone_feature_sizes": [[144, 144], [72, 72], [36, 36]],
        },
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": 49408,
            "hidden_size": 256,
            "intermediate_size": 1024,
            "projection_dim": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "max_position_embeddings": PHRASE_TOKENS,
            "hidden_act": "gelu",
        },
        geometry_encoder_config={**stack, "num_layers": 3},
        detr_encoder_config={**stack, "num_layers": 3},
        detr_decoder_config={**stack, "num_layers": 3},
        mask_decoder_config=part,
    )


def random_model(config: Sam3Config, device: torch.device, seed: int = 0) -> Sam3Model:
    """A stock model in float32 whose every weight matters, without the minutes of its own start.

    Weights keep the variance of what passes through them, so nothing overflows, underflows or
    becomes the same number everywhere: the outputs can be compared, and no denormal slows a core.
    """
    with no_init_weights():
        model = Sam3Model(config).eval().requires_grad_(False)
    model.to(device)  # pyright: ignore[reportArgumentType]  # torch's own overload of `to`
    generator = torch.Generator(device).manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            spread = math.sqrt(3) / weight[0].numel() ** 0.5
            weight.uniform_(-spread, spread, generator=generator)
        elif name.endswith("bias"):
            weight.uniform_(-0.1, 0.1, generator=generator)
        else:
            weight.uniform_(0.8, 1.2, generator=generator)
    return model


def random_phrases(config: Sam3Config, count: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, (count, 32) int64 each on the host: one to three words each."""
    generator = torch.Generator().manual_seed(1)
    letters: int = config.get_text_config().vocab_size
    words = torch.randint(1, letters - 2, (count, PHRASE_TOKENS), generator=generator)
    lengths = torch.randint(3, 6, (count, 1), generator=generator)
    place = torch.arange(PHRASE_TOKENS)[None]
    words[:, 0] = letters - 2
    ids = torch.where(place < lengths - 1, words, letters - 1)
    return ids, (place < lengths).long()
