"""Headers of safetensors files, read without trusting them: nothing is allocated on their word.

The format: 8 bytes of little-endian length, that much JSON, then the tensors end to end
(https://github.com/huggingface/safetensors#format).
"""

import math
import stat
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from gpu_handler.segment.sam3.weights.refusals import WeightsDamaged, WeightsIncomplete

LONGEST = 16 * 2**20
"""Most bytes of a header; the 1797 tensors of facebook/sam3 take a quarter of a million."""

MOST_AXES = 8

WIDTHS = {
    name: width
    for width, names in (
        (1, "BOOL U8 I8 F8_E4M3 F8_E5M2 F8_E8M0"),
        (2, "I16 U16 F16 BF16"),
        (4, "I32 U32 F32"),
        (8, "I64 U64 F64 C64"),
    )
    for name in names.split()
}
"""Bytes of a number of each type."""


class _Told(Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class Entry(Struct, frozen=True):
    """A stored tensor: `start` and `end` are offsets in bytes from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.start

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


class Header(Struct, frozen=True):
    """What one file says of itself. `tensors` come in the order in which they lie in it."""

    file: Path
    text: bytes
    tensors: dict[str, Entry]


def read_header(file: Path) -> Header:
    """Read and check the header; the tensors then fill the file to its end without a gap.

    Raises WeightsIncomplete for a file that is cut short, WeightsDamaged for any other fault.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise WeightsDamaged(f"{file} is not a regular file")
        text = _read_text(file, status.st_size)
    except OSError as error:
        raise WeightsDamaged(f"{file} cannot be read: {error.strerror or error}") from error
    tensors = _entries(file, _told(file, text), 8 + len(text))
    _check_size(file, tensors, 8 + len(text), status.st_size)
    return Header(file, text, tensors)


def _read_text(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        start = opened.read(8)
        if start == b"version ":
            raise WeightsIncomplete(f"{file} is a Git LFS pointer, not the weights: git lfs pull")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or (length <= LONGEST and length > size - 8):
            raise WeightsIncomplete(f"{file} is cut short: {size} bytes; fetch it again")
        if length > LONGEST:
            raise _damaged(file, f"its header claims {length} bytes")
        return opened.read(length)


def _told(file: Path, text: bytes) -> dict[str, _Told]:
    try:
        parts = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        parts.pop("__metadata__", None)
        return {name: msgspec.json.decode(part, type=_Told) for name, part in parts.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(file, f"its header is not what it should be ({error})") from error


def _entries(file: Path, told: dict[str, _Told], base: int) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, part in sorted(told.items(), key=lambda item: item[1].data_offsets):
        start, end = part.data_offsets
        if len(part.shape) > MOST_AXES or any(side < 0 for side in part.shape):
            raise _damaged(file, f"{name[:80]!r} has an impossible shape")
        width = WIDTHS.get(part.dtype)
        if width is None:
            raise _damaged(file, f"{name[:80]!r} has the unknown type {part.dtype[:20]!r}")
        if start < 0 or end - start != width * math.prod(part.shape):
            raise _damaged(file, f"{name[:80]!r} has a shape that does not fit its bytes")
        entries[name] = Entry(part.dtype, tuple(part.shape), base + start, base + end)
    return entries


def _check_size(file: Path, tensors: dict[str, Entry], base: int, size: int) -> None:
    # The first starts where the header ends, and each where the one before it ended.
    spans = [(base, base), *((entry.start, entry.end) for entry in tensors.values())]
    if any(before[1] != after[0] for before, after in pairwise(spans)):
        raise _damaged(file, "its tensors overlap or leave gaps")
    told = spans[-1][1]
    if size < told:
        raise WeightsIncomplete(
            f"{file} is cut short: {size} of {told} bytes are there; fetch it again"
        )
    if size > told:
        raise _damaged(file, f"{size - told} bytes follow its last tensor")


def _damaged(file: Path, fault: str) -> WeightsDamaged:
    return WeightsDamaged(f"{file} is damaged, fetch it again: {fault}")
