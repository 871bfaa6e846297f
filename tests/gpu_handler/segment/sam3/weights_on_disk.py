"""Checkpoint folders written byte by byte, for what looks at weights without loading them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TENSORS = {
    "vision_encoder.backbone.embeddings.position_embeddings": [1, 16, 8],
    "text_encoder.text_model.final_layer_norm.weight": [8],
    "text_projection.weight": [4, 8],
}
"""Three of the detector's, with shapes small enough to count."""

BYTES = 4 * (128 + 8 + 32)


def safetensors(
    tensors: Mapping[str, list[int]] = TENSORS, *, fill: int = 1, prefix: str = ""
) -> bytes:
    """A file of float32 tensors, each byte of which is `fill`."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        entry = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        header[prefix + name] = entry
        end += size
    return with_header(json.dumps(header).encode(), bytes([fill]) * end)


def with_header(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def write_folder(
    folder: Path, *, config: object = None, weights: bytes | None = None, fill: int = 1
) -> Path:
    """The detector-only layout, whole unless told otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "sam3", "initializer_range": 0.02} if config is None else config
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(weights or safetensors(fill=fill))
    return folder


def write_snapshot(hub: Path, commit: str, *, main: str | None = None, fill: int = 1) -> Path:
    """A snapshot of facebook/sam3 as the hub's cache keeps it: links to blobs."""
    repository = hub / "models--facebook--sam3"
    blobs = write_folder(repository / "blobs" / commit, fill=fill)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for blob in blobs.iterdir():
        (snapshot / blob.name).symlink_to(blob)
    if main is not None:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(main, encoding="utf-8")
    return snapshot
