"""Peak memory of decoding each kind of file: `python -m tests.gpu_handler.imaging.peaks 12 50`."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

from tests.fuzz.seeds import interlaced_png, png, saved, unfiltered
from tests.fuzz.worker import measured
from tests.gpu_handler.imaging.heic import write_grid

Bytes = NDArray[np.uint8]


class Peak(Struct, frozen=True):
    """`grown`: bytes of resident memory above those before; of a picture of `pixels`."""

    kind: str
    outcome: str
    pixels: int
    grown: int
    seconds: float


def picture(megapixels: float) -> Bytes:
    """4:3, smooth: size is what matters here, and files are soon made."""
    width = int((megapixels * 1e6 * 4 / 3) ** 0.5) // 64 * 64
    height = width * 3 // 4
    across, down = np.linspace(20, 200, width), np.linspace(10, 230, height)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = across, down[:, None]
    pixels[..., 2] = 120
    return pixels


def _layered(p: Bytes) -> Bytes:
    alpha = np.full(p.shape[:2], 255, np.uint8)
    alpha[: len(p) // 2] = 100
    return np.dstack((p, alpha))


def _turned() -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


def _wide(p: Bytes) -> bytes:
    rows = (p.astype(">u2") * 257).reshape(len(p), -1).view(np.uint8)
    return png((p.shape[1], p.shape[0]), 16, 2, unfiltered(rows))


def _grid(p: Bytes) -> bytes:
    side = 512
    columns, rows = -(-p.shape[1] // side), -(-p.shape[0] // side)
    tile = np.ascontiguousarray(p[:side, :side])
    return write_grid([tile] * (columns * rows), columns, (p.shape[1], p.shape[0]))


KINDS: dict[str, Callable[[Bytes], bytes]] = {
    "JPEG": lambda p: saved(p, "JPEG"),
    "JPEG, rotated": lambda p: saved(p, "JPEG", **_turned()),
    "JPEG, progressive 4:4:4": lambda p: saved(p, "JPEG", progressive=True, subsampling=0),
    "JPEG, progressive CMYK": lambda p: saved(
        Image.fromarray(p).convert("CMYK"), "JPEG", progressive=True
    ),
    "PNG": lambda p: saved(p, "PNG", compress_level=1),
    "PNG, alpha": lambda p: saved(_layered(p), "PNG", compress_level=1),
    "PNG, 16 bit": _wide,
    "PNG, interlaced": interlaced_png,
    "WebP": lambda p: saved(p, "WEBP", method=0),
    "WebP, alpha, lossless": lambda p: saved(
        _layered(p), "WEBP", lossless=True, quality=0, method=0
    ),
    "HEIC, tiles": _grid,
}


def peak(kind: str, megapixels: float) -> Peak:
    """Measured in a fork of a process that has decoded nothing yet: freed memory would hide it."""
    with tempfile.TemporaryDirectory() as folder:
        made, told = Path(folder) / "made", Path(folder) / "told"
        _in_child(lambda: made.write_bytes(KINDS[kind](picture(megapixels))))
        _in_child(lambda: told.write_text(_measure(made.read_bytes())))
        outcome, pixels, grown, seconds = told.read_text().split()
    return Peak(kind, outcome, int(pixels), int(grown), float(seconds))


def _measure(data: bytes) -> str:
    done = measured(0, data)
    return f"{done.outcome.split(':')[0]} {done.pixels} {done.grown} {done.seconds}"


def _in_child(work: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def main(sizes: list[str]) -> None:
    cv2.setNumThreads(1)
    for kind in KINDS:
        for size in sizes:
            p = peak(kind, float(size))
            share = p.grown / max(1, p.pixels)
            print(
                p.kind, p.outcome, p.pixels, p.grown, f"{share:.2f}", f"{p.seconds:.3f}", sep="\t"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
