"""SAM3 from a checkpoint to a device: every tensor straight from its file, once, in its dtype."""

import copy
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModelWithProjection
from transformers.models.sam3.configuration_sam3 import (
    Sam3Config,
    Sam3DETREncoderConfig,
    Sam3VisionConfig,
    Sam3ViTConfig,
)
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.weights.buffers import fill_buffers
from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint
from gpu_handler.segment.sam3.weights.folder import TEXT_PREFIXES
from gpu_handler.segment.sam3.weights.memory import free_bytes, require
from gpu_handler.segment.sam3.weights.reading import (
    Stored,
    check_fits,
    check_known,
    look_into,
    read_tensors,
)
from gpu_handler.segment.sam3.weights.refusals import MemoryShort, WrongArchitecture

RESERVE = 256 * 2**20
"""Bytes that loading takes beside the parameters: the token table as stored (202 MB in float32)
next to its cast, and what the allocator rounds up."""

Module = TypeVar("Module", bound=nn.Module)


class TextEncoder(nn.Module):
    """The text side of SAM3 alone: 42 % of its parameters, needed for phrases not seen before."""

    def __init__(self, config: Sam3Config) -> None:
        super().__init__()
        text = cast("CLIPTextConfig", config.text_config)
        width = cast("Sam3DETREncoderConfig", config.detr_encoder_config).hidden_size
        self.text_encoder = CLIPTextModelWithProjection(text)
        self.text_projection = nn.Linear(text.hidden_size, width)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(T, L) int64 token ids and the mask of those that are text -> (T, L, d) features.

        The same as `Sam3Model.get_text_features(ids, mask).pooler_output`.
        """
        told = self.text_encoder.text_model(input_ids=ids, attention_mask=mask)
        return self.text_projection(told.last_hidden_state)


def load_model(
    checkpoint: Checkpoint,
    device: torch.device,
    dtype: torch.dtype,
    *,
    with_text: bool = True,
    free: int | None = None,
) -> Sam3Model:
    """The detector in eval mode, without gradients: parameters in `dtype`, buffers as they are.

    `with_text=False` leaves the text side (text_encoder, text_projection) on the meta device; such
    a model cannot be moved by `.to`. `free` is the memory there is, in bytes; None asks the device.
    Raises CheckpointError: MemoryShort before anything large is read, WrongArchitecture where
    config and weights do not fit each other or the photo's grid does not fit the windows.
    """
    config = _config(checkpoint)
    _check_grid(checkpoint, config)
    model = _on_meta(checkpoint, lambda: Sam3Model(config))
    stored = look_into(checkpoint)
    check_known(stored, model.state_dict().keys())
    wanted = {
        name: weight
        for name, weight in model.named_parameters()
        if with_text or not name.startswith(TEXT_PREFIXES)
    }
    _load(model, wanted, stored, _Target("sam3", _numbered(device), dtype, free))
    return model


def load_text_encoder(
    checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, *, free: int | None = None
) -> TextEncoder:
    """The text side alone, in eval mode, as `load_model` loads it. Raises CheckpointError."""
    config = _config(checkpoint)
    encoder = _on_meta(checkpoint, lambda: TextEncoder(config))
    wanted = dict(encoder.named_parameters())
    target = _Target("sam3's text encoder", _numbered(device), dtype, free)
    _load(encoder, wanted, look_into(checkpoint), target)
    return encoder


class _Target(NamedTuple):
    what: str
    device: torch.device
    dtype: torch.dtype
    free: int | None


def _numbered(device: torch.device) -> torch.device:
    # A bare "cuda" is the current one for torch, and the first one for safetensors.
    if str(device) == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _load(module: nn.Module, wanted: Mapping[str, Tensor], stored: Stored, to: _Target) -> None:
    check_fits(stored, wanted)
    numbers = sum(weight.numel() for weight in wanted.values())
    free = free_bytes(to.device) if to.free is None else to.free
    require(numbers * to.dtype.itemsize + RESERVE, to.what, to.device, free)
    try:
        weights = read_tensors(stored, wanted.keys(), to.device, to.dtype)
    except torch.OutOfMemoryError as error:
        raise MemoryShort(f"{to.what} did not fit into the memory of {to.device}") from error
    module.load_state_dict(weights, strict=False, assign=True)
    for name, part in module.named_children():
        if any(loaded.startswith(f"{name}.") for loaded in weights):
            fill_buffers(part, to.device)
    module.eval().requires_grad_(False)


def _config(checkpoint: Checkpoint) -> Sam3Config:
    try:
        # A copy: transformers takes keys out of what it is given.
        return Sam3Config.from_dict(copy.deepcopy(checkpoint.config))
    except Exception as error:
        raise _unfit(checkpoint, error) from error


def _on_meta(checkpoint: Checkpoint, build: Callable[[], Module]) -> Module:
    try:
        with torch.device("meta"):
            return build()
    except Exception as error:
        raise _unfit(checkpoint, error) from error


def _unfit(checkpoint: Checkpoint, error: Exception) -> WrongArchitecture:
    # transformers checks little, and each value fails in its own way, anywhere.
    return WrongArchitecture(
        f"{checkpoint.path}: the config describes no SAM3 model ({type(error).__name__}: {error})"
    )


def _check_grid(checkpoint: Checkpoint, config: Sam3Config) -> None:
    """The vision path keeps patches in the order of their windows, which must fill the photo."""
    vision = cast("Sam3VisionConfig", config.vision_config)
    backbone = cast("Sam3ViTConfig", vision.backbone_config)
    side, patch, window = backbone.image_size, backbone.patch_size, backbone.window_size
    if not (isinstance(side, int) and isinstance(patch, int)):
        fault = "image_size and patch_size must be single numbers"
    elif min(side, patch, window) < 1 or side % patch:
        fault = f"{side} pixels are not a multiple of the patch of {patch}"
    elif side // patch % window:
        fault = f"grid of {side // patch} patches is not a multiple of the window of {window}"
    else:
        return
    raise WrongArchitecture(f"{checkpoint.path}: {fault}")
