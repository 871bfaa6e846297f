"""The files of a prepared checkpoint: the detector alone, its tokenizer, its text features."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.preparing.answers import text_features
from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint
from gpu_handler.segment.sam3.weights.folder import WEIGHTS
from gpu_handler.segment.sam3.words.phrases import TOKENIZER_FILES, Phrases
from gpu_handler.segment.sam3.words.precomputed import TextFeatures, preset_phrases, write_features

LICENCES = ("license", "licence", "notice", "copying")


def stored_size(model: Sam3Model, dtype: torch.dtype) -> int:
    """Bytes of the parameters in `dtype`."""
    return sum(parameter.numel() for parameter in model.parameters()) * dtype.itemsize


def write_model(model: Sam3Model, source: Checkpoint, folder: Path, dtype: torch.dtype) -> None:
    """The detector-only layout: config.json, model.safetensors, the tokenizer, the licence."""
    save_file(_cast(model, dtype), folder / WEIGHTS, metadata={"format": "pt"})
    model.config.architectures = ["Sam3Model"]
    model.config.dtype = dtype
    model.config.save_pretrained(folder)
    for file in source.path.iterdir():
        if file.name in TOKENIZER_FILES or file.name.lower().startswith(LICENCES):
            shutil.copyfile(file, folder / file.name)


def _cast(model: Sam3Model, dtype: torch.dtype) -> dict[str, Tensor]:
    """Every stored tensor by its name; parameters in `dtype`, buffers as they are."""
    parameters = {name for name, _ in model.named_parameters()}
    tensors: dict[str, Tensor] = model.state_dict()
    return {
        name: (tensor.to(dtype) if name in parameters else tensor).contiguous()
        for name, tensor in tensors.items()
    }


def write_text_features(model: Sam3Model, written: Checkpoint) -> None:
    """The features of the presets' phrases, by the source's `model` in float32."""
    phrases = preset_phrases()
    ids, mask = map(torch.from_numpy, Phrases.from_checkpoint(written.path).encode(phrases))
    features = text_features(model, ids, mask)
    write_features(written, TextFeatures(phrases, ids, mask, features))
