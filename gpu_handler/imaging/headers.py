"""Walks through the structure of each format, as far as size and completeness need it."""

import re
import struct
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice

from isal import isal_zlib
from msgspec import Struct

from gpu_handler.imaging.errors import ImageError, ImageErrorCode, corrupt, truncated
from gpu_handler.imaging.limits import MAX_PIXELS

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MAX_PARTS = 50_000  # 40 MiB are 5,000 PNG chunks of the usual 8 KiB, or 640 full JPEG segments
_MAX_JPEG_SCANS = 100  # progressive encoders write 10 to 20
_MAX_SCANNED = 1_200_000_000  # pixels: each scan is a walk over all of them, 1 ns a pixel and more

_MARKER = re.compile(rb"\xff+[^\xff]", re.DOTALL)
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed byte nor a restart


class ImageFormat(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    HEIF = "heif"


class Header(Struct, frozen=True):
    """Size as stored, before any rotation. `animated`: more frames than the first follow."""

    format: ImageFormat
    width: int
    height: int
    animated: bool = False


def jpeg_header(data: bytes) -> Header:
    """Walk the segments up to the frame header (ITU T.81, B.2.2)."""
    at = 2
    for _ in range(_MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None or found.end() + 2 > len(data):
            raise truncated()
        marker, at = data[found.end() - 1], found.end()
        if marker <= 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        length = int.from_bytes(data[at : at + 2])
        if marker in (0xD9, 0xDA) or length < 2:
            raise corrupt("it holds no frame header")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _jpeg_frame(data, at)
        at += length
    raise corrupt("its header has no end")


def _jpeg_frame(data: bytes, at: int) -> Header:
    if at + 7 > len(data):
        raise truncated()
    precision, height, width = struct.unpack_from(">BHH", data, at + 2)
    if precision != 8:
        message = f"JPEG photos of {precision} bits are not taken."
        raise ImageError(ImageErrorCode.UNSUPPORTED_IMAGE, message)
    most = min(_MAX_JPEG_SCANS, _MAX_SCANNED // max(1, min(width * height, MAX_PIXELS)))
    if sum(1 for _ in islice(_scans(data, at), most + 1)) > most:
        raise corrupt("it has too many scans")
    return Header(ImageFormat.JPEG, width, height)


def _scans(data: bytes, at: int) -> Iterator[int]:
    """Where each scan begins, from a segment's length field on to the end of the picture."""
    while at + 2 <= len(data):
        found = _AFTER_SCAN.search(data, at + int.from_bytes(data[at : at + 2]))
        if found is None or found[0][1] == 0xD9:
            return
        at = found.end()
        if found[0][1] == 0xDA:
            yield at


def png_header(data: bytes) -> Header:
    """Walk all chunks to IEND and check those that matter: Pillow shows what is cut or flipped."""
    if len(data) < 33:
        raise truncated()
    if data[12:16] != b"IHDR":
        raise corrupt("it does not begin with its header")
    at, kinds, view = len(PNG_SIGNATURE), set[bytes](), memoryview(data)
    for _ in range(_MAX_PARTS):
        if at + 12 > len(data):
            raise truncated()
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise truncated()
        critical = not kind[0] & 0x20  # PNG specification, 5.4
        if critical and isal_zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise corrupt("a checksum is wrong")
        kinds.add(kind)
        if kind == b"IEND":
            width, height = struct.unpack_from(">II", data, 16)
            return Header(ImageFormat.PNG, width, height, b"acTL" in kinds)
        at = end + 4
    raise corrupt("it has too many chunks")


def webp_header(data: bytes) -> Header:
    """The first chunk tells the size (RFC 9649)."""
    if len(data) < 30 or int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise truncated()
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return Header(ImageFormat.WEBP, width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return Header(ImageFormat.WEBP, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            width = int.from_bytes(data[24:27], "little") + 1
            height = int.from_bytes(data[27:30], "little") + 1
            return Header(ImageFormat.WEBP, width, height, bool(data[20] & 2))
        case _:
            raise corrupt("its first chunk is no picture")


def check_heif_boxes(data: bytes) -> None:
    """Refuse a file whose boxes reach past its end: libheif fills missing tiles without a word."""
    at, kinds = 0, set[bytes]()
    for _ in range(_MAX_PARTS):
        if at + 8 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        elif size == 0:
            size = len(data) - at
        if size < 8 or (at + size > len(data) and kind not in (b"ftyp", b"meta", b"mdat")):
            break  # what cameras append after the picture need not be boxes
        if at + size > len(data):
            raise truncated()
        kinds.add(kind)
        at += size
    if b"meta" not in kinds:
        raise truncated()
