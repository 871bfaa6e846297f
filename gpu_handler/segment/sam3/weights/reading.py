"""Tensors of a checkpoint: checked against what a module wants, and read from file to device."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import torch
from msgspec import Struct
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gpu_handler.segment.sam3.weights.folder import Checkpoint, detector_tensors
from gpu_handler.segment.sam3.weights.headers import Entry, read_header
from gpu_handler.segment.sam3.weights.refusals import WeightsDamaged, WrongArchitecture

FLOATS = ("F64", "F32", "F16", "BF16")

DERIVED = re.compile(r"(^|\.)(position_ids|(original_)?inv_freq|rope_embeddings_(cos|sin))$")
"""What older versions of transformers stored, and every version can compute from the config."""


class Stored(Struct, frozen=True):
    """The detector's tensors in a checkpoint, by their names without the prefix.

    `files` lists the names of each file in the order in which they lie in it.
    """

    checkpoint: Checkpoint
    entries: Mapping[str, Entry]
    files: Mapping[Path, Sequence[str]]


class _Opened(Protocol):
    def get_tensor(self, name: str) -> Tensor: ...


def look_into(checkpoint: Checkpoint) -> Stored:
    """Read the headers once more: a file may have changed since it was found."""
    entries: dict[str, Entry] = {}
    files: dict[Path, list[str]] = {file: [] for file in checkpoint.files}
    headers = [read_header(file) for file in checkpoint.files]
    for name, header, entry in detector_tensors(headers, checkpoint.prefix):
        entries[name] = entry
        files[header.file].append(name)
    return Stored(checkpoint, entries, files)


def check_known(stored: Stored, names: Collection[str]) -> None:
    """Raises WrongArchitecture where there is a tensor that none of `names` stands for."""
    strange = [name for name in stored.entries if name not in names and not DERIVED.search(name)]
    if strange:
        raise _wrong(stored, "has unexpected tensors", strange)


def check_fits(stored: Stored, wanted: Mapping[str, Tensor]) -> None:
    """Raises WrongArchitecture where a wanted tensor is missing, of another shape, or quantised."""
    if missing := [name for name in wanted if name not in stored.entries]:
        raise _wrong(stored, "lacks tensors", missing)
    pairs = [(name, stored.entries[name], tensor) for name, tensor in wanted.items()]
    if odd := [f"{n} {list(e.shape)}" for n, e, t in pairs if e.shape != tuple(t.shape)]:
        raise _wrong(stored, "has tensors of other shapes than its config says", odd)
    if odd := [f"{name} {entry.dtype}" for name, entry, _ in pairs if entry.dtype not in FLOATS]:
        raise _wrong(stored, "is quantised, which is not supported", odd)


def read_tensors(
    stored: Stored, names: Collection[str], device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Those tensors on `device` in `dtype`, each in memory of its own. Raises WeightsDamaged."""
    tensors: dict[str, Tensor] = {}
    for file, held in stored.files.items():
        try:
            with safe_open(file, "pt", device=str(device)) as opened:
                reader = cast("_Opened", opened)
                for name in filter(set(names).__contains__, held):
                    tensor = reader.get_tensor(stored.checkpoint.prefix + name)
                    # On the CPU it is a view of the mapped file, which would change and vanish
                    # with it, and is read from the disk only when it is first used.
                    tensors[name] = tensor.to(dtype, copy=device.type == "cpu")
        except (SafetensorError, OSError) as error:
            raise WeightsDamaged(f"{file} cannot be read, fetch it again: {error}") from error
    return tensors


def _wrong(stored: Stored, fault: str, what: Sequence[str]) -> WrongArchitecture:
    more = f" and {len(what) - 3} more" if len(what) > 3 else ""
    return WrongArchitecture(
        f"{stored.checkpoint.path} {fault}: {', '.join(name[:120] for name in what[:3])}{more}"
    )
