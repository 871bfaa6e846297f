"""HEIC and HEIF through libheif and libde265 (pi-heif: decoders only, nothing under the GPL)."""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.errors import corrupt
from gpu_handler.imaging.heif_items import check_effort
from gpu_handler.imaging.limits import MAX_PIXELS
from gpu_handler.imaging.probe import check_size
from gpu_handler.imaging.profiles import DISPLAY_P3

_MAX_DECODED = MAX_PIXELS * 3 // 2
"""Tiles reach past the edge of their picture, and a gain map or depth may come with it."""

_P3_PRIMARIES = 12  # ITU-T H.273, table 2
_WIDE_TRANSFERS = (16, 18)  # PQ and HLG: meant for HDR screens


class _Picture(Protocol):
    """One picture of a file as pi-heif's C module gives it; reading `data` decodes it."""

    size_mode: tuple[tuple[int, int], str]
    primary: int
    color_profile: Mapping[str, object]
    data: memoryview
    stride: int


class _Library(Protocol):
    def load_file(
        self,
        data: bytes,
        threads: int,
        hdr_to_8bit: bool,
        bgr: bool,
        remove_stride: bool,
        hdr_to_16bit: bool,
        decoder: str,
        disable_security_limits: bool,
        /,
    ) -> list[_Picture | None]: ...


# The C module and not pi_heif.open_heif: that reads all metadata as well, and in 1.4.0 a metadata
# item whose type is not UTF-8 ends the process (https://github.com/bigcat88/pillow_heif/pull/478).
_library = cast(_Library, import_module("_pi_heif"))


class Heif(Struct, frozen=True, eq=False):
    """The primary picture: (H, W, C) of Pillow's `mode`, upright, in its own colours.

    `warning`: what a person should know (a sentence).
    """

    values: NDArray[np.uint8]
    mode: str
    profile: bytes | None
    warning: str | None


def decode_heif(data: bytes) -> Heif:
    """libheif applies rotation and mirroring itself; the EXIF orientation must be ignored.

    The size is checked before the picture is decoded. One thread each: photos run side by side.
    """
    check_effort(data, _MAX_DECODED)
    pictures = _library.load_file(bytes(data), 1, True, False, True, True, "", False)
    picture = next((p for p in pictures if p is not None and p.primary), None)
    if picture is None:
        raise corrupt("its primary picture is missing")
    size, mode = picture.size_mode
    check_size(*size)
    profile, warning = _profile(picture.color_profile)
    values = np.frombuffer(picture.data, np.uint8)
    if picture.size_mode[0] != size:
        raise corrupt("its size is not the one that its header gives")
    rows = values[: size[1] * picture.stride].reshape(size[1], picture.stride)
    rows = rows[:, : size[0] * len(mode)].reshape(size[1], size[0], len(mode))
    return Heif(np.array(rows), mode, profile, warning)  # the library's memory ends with `picture`


def _profile(tag: Mapping[str, object]) -> tuple[bytes | None, str | None]:
    content = tag.get("data")
    if isinstance(content, bytes):
        return content, None
    if not isinstance(content, dict):
        return None, None
    numbers = cast(dict[str, int], content)
    if numbers.get("transfer_characteristics") in _WIDE_TRANSFERS:
        return None, "An HDR photo: its colours are shown as if it were an ordinary one."
    return (DISPLAY_P3 if numbers.get("color_primaries") == _P3_PRIMARIES else None), None
