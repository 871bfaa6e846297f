"""SAM3 checkpoints small enough to build in a test: the real classes, random weights, no hub."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from transformers import CLIPTokenizer, Sam3Config
from transformers.models.sam3 import modeling_sam3
from transformers.models.sam3.modeling_sam3 import Sam3Model

PATCH = 14
HIDDEN = 32


def tiny_config(side: int = 112, layers: int = 2, queries: int = 16) -> Sam3Config:
    """A Sam3Config for photos of `side` pixels, a multiple of 56 (windows of 4 × 4 patches).

    Its masks are `side` * 2 / 7 cells wide, as those of the full size are.
    """
    grid = side // PATCH
    part = {"hidden_size": HIDDEN, "num_attention_heads": 2}
    stack = {**part, "num_layers": 2, "intermediate_size": 64}
    return Sam3Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam3_vit_model",
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": layers,
                "num_attention_heads": 4,
                "image_size": side,
                "patch_size": PATCH,
                "pretrain_image_size": PATCH * 4,
                "window_size": 4,
                "global_attn_indexes": [layers - 1],
            },
            "fpn_hidden_size": HIDDEN,
            "backbone_feature_sizes": [[grid * 4] * 2, [grid * 2] * 2, [grid] * 2],
        },
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": 514,
            "hidden_size": HIDDEN,
            "intermediate_size": 64,
            "projection_dim": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "hidden_act": "gelu",
            "bos_token_id": 512,
            "eos_token_id": 513,
            "pad_token_id": 513,
        },
        geometry_encoder_config=stack,
        detr_encoder_config=stack,
        detr_decoder_config={**stack, "num_queries": queries},
        mask_decoder_config=part,
    )


def tiny_model(
    config: Sam3Config | None = None, *, seed: int = 0, sure: bool = False, gain: float = 1.0
) -> Sam3Model:
    """A stock model in float32 whose every weight matters; deterministic for a seed.

    The usual start (a deviation of 0.02) makes all outputs nearly the same number, and a wrong
    wire would not show. `gain` is what a layer does to the deviation of its input: rounding errors
    grow with it, the more the deeper the model is. `sure` lifts the presence and the scores, so
    that things are found.
    """
    torch.manual_seed(seed)
    model = Sam3Model(config or tiny_config()).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        fan_in = weight[0].numel() if weight.dim() > 1 else 1
        if weight.dim() > 1:
            weight.normal_(0, gain / fan_in**0.5)
        elif name.endswith("bias"):
            weight.normal_(0, 0.1)
        else:
            weight.normal_(1, 0.1)
    if sure:
        _be_sure(model)
    return model


def _be_sure(model: Sam3Model) -> None:
    """Presence near 1, and scores that differ among the queries, many of them above 0.5."""
    presence, scoring = model.detr_decoder.presence_head.layer3, model.dot_product_scoring
    assert presence is not None
    presence.weight.mul_(0.1)
    presence.bias.fill_(6.0)
    scoring.query_proj.weight.mul_(2.0)
    for projection in (scoring.text_proj, scoring.query_proj):
        projection.bias.add_(0.55)


def tiny_tokenizer(longest: int = 32) -> CLIPTokenizer:
    """CLIP's layout without a merge: 256 byte letters, the same ending a word, two specials."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(code) for code in printable] + [chr(256 + n) for n in range(len(others))]
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=longest)


@contextmanager
def box_pooling() -> Generator[None]:
    """Let the stock geometry encoder run where torchvision is not installed.

    What it pools belongs to the box. Where the box is masked out none of it counts: noise shows so.
    """
    module = cast(Any, modeling_sam3)
    if hasattr(module, "torchvision"):
        yield
        return
    module.torchvision = SimpleNamespace(ops=SimpleNamespace(roi_align=_noise))
    try:
        yield
    finally:
        del module.torchvision


def _noise(features: torch.Tensor, boxes: Sequence[torch.Tensor], side: int) -> torch.Tensor:
    count = sum(len(one) for one in boxes)
    return torch.randn_like(features[:1, :, :1, :1].expand(count, -1, side, side))


def write_checkpoint(folder: Path, model: Sam3Model) -> Path:
    """The detector-only layout: config.json, model.safetensors, the tokenizer."""
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def write_video_checkpoint(folder: Path, model: Sam3Model) -> Path:
    """The layout of facebook/sam3: `sam3_video`, the detector beside a tracker's weights."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"detector_model.{name}": w.contiguous() for name, w in model.state_dict().items()}
    weights["tracker_model.memory.weight"] = torch.zeros(2, 2)
    weights["tracker_neck.proj.bias"] = torch.zeros(3)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {"model_type": "sam3_video", "detector_config": model.config.to_dict()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tiny_tokenizer().save_pretrained(folder)
    return folder
