"""WebP: the container is walked here, the pixels are OpenCV's (libwebp without the lock).

Pillow reads every WebP as an animation, which takes twice the memory and holds the interpreter's
lock. An animation's first frame is handed on as a still picture of its own.
"""

import struct
from collections.abc import Iterator

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.errors import corrupt

_MAX_CHUNKS = 10_000  # a still has at most 7; an animation one for each frame
_ALPHA_FLAG = 0x10


class Webp(Struct, frozen=True, eq=False):
    """A still, or the first frame of an animation, not decoded yet.

    `still`: a whole WebP file. `corner`: (x, y) of the frame on its canvas of `size`.
    """

    still: bytes
    size: tuple[int, int]
    corner: tuple[int, int] = (0, 0)
    profile: bytes | None = None
    exif: bytes | None = None


def open_webp(data: bytes, size: tuple[int, int]) -> Webp:
    """Find what matters (RFC 9649); `size` is the (width, height) of the file's header."""
    first: dict[bytes, bytes] = {}
    for kind, body in _chunks(data, 12):
        if kind in (b"ICCP", b"EXIF", b"ANMF"):
            first.setdefault(kind, bytes(body))
    frame = first.get(b"ANMF")
    still, corner = (data, (0, 0)) if frame is None else _first_frame(frame)
    return Webp(still, size, corner, first.get(b"ICCP"), first.get(b"EXIF"))


def decode_webp(webp: Webp) -> NDArray[np.uint8]:
    """(h, w, 3) RGB or (h, w, 4) RGBA of the frame, which lies within the canvas."""
    values = cv2.imdecode(np.frombuffer(webp.still, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint8:
        raise corrupt("it cannot be decoded")
    width, height = webp.corner[0] + values.shape[1], webp.corner[1] + values.shape[0]
    if width > webp.size[0] or height > webp.size[1]:
        raise corrupt("it gives two different sizes")
    swap = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return np.asarray(cv2.cvtColor(values, swap, dst=values), np.uint8)


def _chunks(data: bytes, at: int) -> Iterator[tuple[bytes, memoryview]]:
    """Those that are whole; what a lying length reaches past the end of is left out."""
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            return
        yield kind, memoryview(data)[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _first_frame(body: bytes) -> tuple[bytes, tuple[int, int]]:
    """A WebP file of the frame alone, and where its corner is."""
    if len(body) < 24:
        raise corrupt("its first frame is missing")
    x, y = (int.from_bytes(body[i : i + 3], "little") * 2 for i in (0, 3))
    chunks = body[16:]
    if chunks[:4] == b"ALPH":  # which only the extended header announces
        canvas = struct.pack("<B3x", _ALPHA_FLAG) + body[6:12]
        chunks = struct.pack("<4sI", b"VP8X", len(canvas)) + canvas + chunks
    return struct.pack("<4sI4s", b"RIFF", len(chunks) + 4, b"WEBP") + chunks, (x, y)
