"""What a folder of weights holds: its layout, its files, and a short identity of its numbers."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import cast

import msgspec
from msgspec import Struct

from gpu_handler.segment.sam3.weights.headers import Entry, Header, read_header
from gpu_handler.segment.sam3.weights.refusals import (
    WeightsDamaged,
    WeightsIncomplete,
    WrongArchitecture,
)

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"

MOST_JSON = 16 * 2**20
"""Most bytes of a JSON file that is read whole; the largest of facebook/sam3 has under 4 MB."""

DETECTOR_PREFIX = "detector_model."
TEXT_PREFIXES = ("text_encoder.", "text_projection.")
TRACKER_PREFIXES = ("tracker_model.", "tracker_neck.")

EVERY = 16
SAMPLE = 256


class Layout(StrEnum):
    """The two ways in which transformers writes the detector."""

    DETECTOR = "sam3"  # alone
    VIDEO = "sam3_video"  # beside a tracker: facebook/sam3


class Checkpoint(Struct, frozen=True):
    """Weights on disk that were found to be whole, by their headers.

    `files` is model.safetensors or its shards; `config` describes the detector alone, also in the
    video layout. Keys of the detector start with `prefix`, which may be empty.
    `parameter_bytes` is the size of the detector as stored. `fingerprint`: 16 hex digits, the same
    for a copy elsewhere, another for other weights, as `_fingerprint` says.
    """

    path: Path
    layout: Layout
    files: tuple[Path, ...]
    config: dict[str, object]
    prefix: str
    fingerprint: str
    parameter_bytes: int


def open_folder(folder: Path) -> Checkpoint:
    """Look into a folder. Reads headers and a few samples, a megabyte, whatever its size.

    Raises WeightsIncomplete, WeightsDamaged and WrongArchitecture.
    """
    try:
        layout, config = _layout(folder)
        headers = [read_header(file) for file in _weight_files(folder)]
        prefix = _prefix(headers)
        stored = [entry for _, _, entry in detector_tensors(headers, prefix)]
        return Checkpoint(
            path=folder,
            layout=layout,
            files=tuple(header.file for header in headers),
            config=config,
            prefix=prefix,
            fingerprint=_fingerprint(config, headers, prefix),
            parameter_bytes=sum(entry.size for entry in stored),
        )
    except OSError as error:
        raise WeightsDamaged(f"{folder} cannot be read: {error.strerror or error}") from error


def detector_tensors(headers: Sequence[Header], prefix: str) -> Iterator[tuple[str, Header, Entry]]:
    """The detector's tensors by their names without the prefix, in the order of the files."""
    for header in headers:
        for key, entry in header.tensors.items():
            if key.startswith(prefix) and not key.startswith(TRACKER_PREFIXES):
                yield key.removeprefix(prefix), header, entry


def read_json(file: Path) -> dict[str, object]:
    """A JSON object from a file of bounded size. Raises WeightsDamaged and OSError."""
    with file.open("rb") as opened:
        text = opened.read(MOST_JSON + 1)
    if len(text) > MOST_JSON:
        raise WeightsDamaged(f"{file} is too long for a JSON file of a checkpoint")
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WeightsDamaged(f"{file} is damaged, fetch it again: {error}") from error


def _layout(folder: Path) -> tuple[Layout, dict[str, object]]:
    file = folder / CONFIG
    if not file.is_file():
        raise foreign_weights(folder) or WeightsIncomplete(
            f"{folder} has no {CONFIG}: it is no checkpoint, or its download broke off"
        )
    config = read_json(file)
    told = config.get("model_type")
    if told not in tuple(Layout):
        raise WrongArchitecture(
            f"{folder} holds a model of type {repr(told)[:60]}, not sam3 or sam3_video"
        )
    layout = Layout(told)
    # transformers leaves out what has its defaults, so an absent part is the full-size detector.
    detector = config if layout is Layout.DETECTOR else config.get("detector_config", {})
    if not isinstance(detector, dict):
        raise WeightsDamaged(f"{file} is damaged, fetch it again: detector_config is no object")
    return layout, cast("dict[str, object]", detector)


def _weight_files(folder: Path) -> list[Path]:
    if os.path.lexists(folder / WEIGHTS):
        return [_present(folder / WEIGHTS)]
    if (folder / INDEX).is_file():
        return [_present(folder / name) for name in _shards(folder / INDEX)]
    raise foreign_weights(folder) or WeightsIncomplete(
        f"{folder} has {CONFIG} but no {WEIGHTS}: the download broke off, or there is none"
    )


def _present(file: Path) -> Path:
    # In the hub's cache a file is a link, and dangles while its download is not complete.
    if not file.is_file():
        raise WeightsIncomplete(f"{file} is not there: the download broke off, fetch it again")
    return file


def _shards(index: Path) -> list[str]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise WeightsDamaged(f"{index} is damaged, fetch it again: it names no files")
    shards = sorted({str(name) for name in cast("dict[str, object]", names).values()})
    for name in shards:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise WeightsDamaged(f"{index} is damaged: it names the file {name[:80]!r}")
    return shards


def foreign_weights(folder: Path) -> WrongArchitecture | None:
    """What to say where the only weights in a folder are of a format that is not read."""
    if next(folder.glob("*.safetensors"), None):
        return None
    for file in sorted(folder.glob("sam3*.pt")):
        return WrongArchitecture(
            f"{file} is Meta's format; the Hugging Face safetensors are needed"
        )
    for file in sorted((*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))):
        return WrongArchitecture(
            f"{file} is a pickle, which is never opened; the safetensors are needed"
        )
    return None


def _prefix(headers: Sequence[Header]) -> str:
    prefixed = any(key.startswith(DETECTOR_PREFIX) for head in headers for key in head.tensors)
    return DETECTOR_PREFIX if prefixed else ""


def _fingerprint(config: dict[str, object], headers: Sequence[Header], prefix: str) -> str:
    """SHA-256 over config, headers, and 256 bytes of the middle of many tensors.

    Two fine-tunings have the same header, so numbers have to be looked at: in every tensor of the
    text encoder, which text features depend on, and in every 16th of the others. Training moves
    them all a little; only a change by hand could miss every sample. About 450 short reads.
    A manifest is left out: it is written after the text features that this is the key of.
    """
    digest = hashlib.sha256(msgspec.json.encode(config, order="sorted"))
    for header in headers:
        digest.update(header.text)
        with header.file.open("rb", buffering=0) as opened:
            names = detector_tensors([header], prefix)
            for number, (name, _, entry) in enumerate(names):
                if number % EVERY == 0 or name.startswith(TEXT_PREFIXES):
                    opened.seek(entry.start + max(entry.size - SAMPLE, 0) // 2)
                    digest.update(opened.read(min(SAMPLE, entry.size)))
    return digest.hexdigest()[:16]
