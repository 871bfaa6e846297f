"""The buffers that no checkpoint holds, filled as the constructors of transformers fill them."""

import torch
from torch import Tensor, nn
from transformers.models.clip.modeling_clip import CLIPTextEmbeddings
from transformers.models.sam3.modeling_sam3 import Sam3ViTLayer, Sam3ViTRotaryEmbedding


def fill_buffers(model: nn.Module, device: torch.device) -> None:
    """Give every buffer on the meta device its value: positions and frequencies, on `device`.

    They stay float32 and int64 whatever the parameters are: in bfloat16 a position would be off
    by up to 0.04 of a patch. Computed on the CPU, so that they are the same on every device.
    Raises NotImplementedError for a buffer that is not known here.
    """
    for path, module in model.named_modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            if buffer.is_meta:
                value = _value(module, name)
                if value is None or value.shape != buffer.shape or value.dtype != buffer.dtype:
                    raise NotImplementedError(f"the buffer {path}.{name} is not known")
                setattr(module, name, value.to(device))


def _value(module: nn.Module, name: str) -> Tensor | None:
    match module, name:
        case Sam3ViTLayer(), "position_ids":
            return module.precompute_positions(module.config, module.window_size)
        case Sam3ViTRotaryEmbedding(), "inv_freq" | "original_inv_freq":
            return module.compute_axial_rope_parameters(module.config)[0]
        case CLIPTextEmbeddings(), "position_ids":
            return torch.arange(module.position_embedding.num_embeddings).expand(1, -1)
        case _:
            return None
