"""Whole files of every kind that is taken, which the campaign then damages."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_handler.imaging.profiles import DISPLAY_P3
from tests.gpu_handler.imaging.heic import write_grid, write_heic

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Bytes = NDArray[np.uint8]


def scene(width: int, height: int) -> Bytes:
    """A ramp with grain, so that files have some substance."""
    y, x = np.mgrid[0:height, 0:width]
    grain = np.random.default_rng(5).integers(0, 40, (height, width, 3))
    ramp = np.stack((x * 180 // width, y * 190 // height, 200 - (x + y) * 90 // (width + height)))
    return (ramp.transpose(1, 2, 0) + grain).clip(0, 255).astype(np.uint8)


def saved(image: Bytes | Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(size: tuple[int, int], bits: int, kind: int, rows: bytes, interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, interlaced)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return SIGNATURE + parts


def unfiltered(rows: Bytes) -> bytes:
    """(H, bytes) with the filter's number, 0, before each row."""
    return np.pad(rows, ((0, 0), (1, 0))).tobytes()


def interlaced_png(pixels: Bytes) -> bytes:
    """Adam7 (PNG specification, 8.2): seven small pictures, one after the other."""
    height, width = pixels.shape[:2]
    passes = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
              (1, 2, 0, 1))  # fmt: skip
    parts = [pixels[y::dy, x::dx] for y, dy, x, dx in passes]
    rows = b"".join(unfiltered(part.reshape(len(part), -1)) for part in parts if part.size)
    return png((width, height), 8, 2, rows, 1)


def _tagged() -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    return {"exif": exif, "icc_profile": DISPLAY_P3}


def _layered(pixels: Bytes) -> Bytes:
    return np.dstack((pixels, pixels[..., 0]))


def _palette(pixels: Bytes) -> Image.Image:
    return Image.fromarray(pixels).quantize(40)


def _wide(pixels: Bytes) -> bytes:
    rows = (pixels.astype(">u2") * 257).reshape(len(pixels), -1).view(np.uint8)
    return png((pixels.shape[1], pixels.shape[0]), 16, 2, unfiltered(rows))


def _frames(pixels: Bytes) -> dict[str, object]:
    return {"save_all": True, "append_images": [Image.fromarray(255 - pixels)] * 2}


def _grid(pixels: Bytes) -> bytes:
    tile = np.ascontiguousarray(pixels[:64, :64])
    return write_grid([tile, 255 - tile, tile, tile], 2, (120, 100), tables_last=True)


Maker = Callable[[Bytes], bytes]

MAKERS: dict[str, dict[str, Maker]] = {
    "jpeg": {
        "baseline": lambda p: saved(p, "JPEG", **_tagged()),
        "progressive": lambda p: saved(p, "JPEG", progressive=True),
        "grey": lambda p: saved(p[..., 0], "JPEG"),
        "CMYK": lambda p: saved(Image.fromarray(p).convert("CMYK"), "JPEG"),
    },
    "png": {
        "8 bit": lambda p: saved(p, "PNG", **_tagged()),
        "16 bit": _wide,
        "16 bit grey": lambda p: saved(Image.fromarray(p[..., 0].astype(np.uint16) * 257), "PNG"),
        "palette": lambda p: saved(_palette(p), "PNG", transparency=bytes(range(0, 240, 6))),
        "interlaced": interlaced_png,
        "alpha": lambda p: saved(_layered(p), "PNG"),
        "animated": lambda p: saved(p, "PNG", **_frames(p)),
    },
    "webp": {
        "lossy": lambda p: saved(p, "WEBP", **_tagged()),
        "lossless": lambda p: saved(p, "WEBP", lossless=True),
        "alpha": lambda p: saved(_layered(p), "WEBP"),
        "animated": lambda p: saved(p, "WEBP", **_frames(p)),
    },
    "heic": {
        "plain": write_heic,
        "tagged": lambda p: write_heic(
            p, icc=DISPLAY_P3, metadata=(b"Exif", bytes(40)), tables_last=True
        ),
        "rotated": lambda p: write_heic(p, quarter_turns=1, tables_last=True),
        "grid": _grid,
    },
}

SIZES = ((64, 64), (98, 66), (300, 200))
LARGE = (2400, 1800)


class Seeds:
    """Files of one format by kind and size; each is made once."""

    def __init__(self, format_: str) -> None:
        self.makers = MAKERS[format_]
        self.kinds = list(self.makers)
        self._made: dict[tuple[str, tuple[int, int]], bytes] = {}

    def file(self, kind: str, size: tuple[int, int]) -> bytes:
        made = self._made.get((kind, size))
        if made is None:
            made = self._made[kind, size] = self.makers[kind](scene(*size))
        return made
