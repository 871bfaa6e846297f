"""The manifest of a prepared checkpoint: what it was made of, and the sum of every file."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

MANIFEST_FILE = "manifest.json"
KIND = "domain-palette-engine/sam3"
SCHEMA_VERSION = 1

_UNREADABLE = (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class FileSum(Struct, frozen=True):
    """`size` in bytes, `sha256` in 64 lower-case hex digits."""

    size: int
    sha256: str


class Origin(Struct, frozen=True):
    """The checkpoint that was prepared. `revision` is empty where nothing tells it."""

    model: str
    revision: str
    fingerprint: str


class Manifest(Struct, frozen=True, kw_only=True):
    """`dtype` is that of the parameters; `created` is in ISO 8601, UTC.

    `verified` says that the outputs were compared with the source's.
    """

    kind: str = KIND
    schema_version: int = SCHEMA_VERSION
    source: Origin
    dtype: str
    verified: bool
    created: str
    versions: Mapping[str, str]
    files: Mapping[str, FileSum]


class ManifestUnusable(Exception):
    """There is no manifest, or it is not one of ours; one line that says which."""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST_FILE).write_bytes(text + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Raises ManifestUnusable."""
    file = folder / MANIFEST_FILE
    try:
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ManifestUnusable(f"{folder} has no {MANIFEST_FILE}") from None
    except _UNREADABLE as error:
        raise ManifestUnusable(f"{file} cannot be read: {error}") from error
    if (manifest.kind, manifest.schema_version) != (KIND, SCHEMA_VERSION):
        told = f"{manifest.kind!r} version {manifest.schema_version}"
        raise ManifestUnusable(f"{file} is of another kind: {told}")
    if odd := [name for name in manifest.files if not _is_plain(name)]:
        raise ManifestUnusable(f"{file} names a file outside its folder: {odd[0]!r}")
    return manifest


def sum_files(folder: Path) -> dict[str, FileSum]:
    """Of every file in the folder but the manifest, by name."""
    files = sorted(f for f in folder.iterdir() if f.name != MANIFEST_FILE)
    return {f.name: FileSum(f.stat().st_size, sha256(f)) for f in files}


def wrong_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    """A line for each file that is not as the manifest has it; all sizes before the first sum.

    What the manifest does not name is wrong too: a second file of weights or settings could be
    read in place of the first.
    """
    sound: list[str] = []
    for name, expected in manifest.files.items():
        file = folder / name
        if not file.is_file():
            yield f"{name} is missing"
        elif (size := file.stat().st_size) != expected.size:
            yield f"{name} has {size} bytes, not {expected.size}"
        else:
            sound.append(name)
    known = {*manifest.files, MANIFEST_FILE}
    yield from (f"{f.name} is not in the manifest" for f in folder.iterdir() if f.name not in known)
    for name in sound:
        if (found := sha256(folder / name)) != manifest.files[name].sha256:
            yield f"{name} has SHA-256 {found}, not {manifest.files[name].sha256}"


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")
