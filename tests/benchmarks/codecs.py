"""Bytes to pixels and back at 12 MP on one core, each beside the plain library call."""

import io
import statistics
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.png import encode_mask_png, encode_png
from gpu_handler.imaging.preview import encode_preview
from gpu_handler.imaging.profiles import DISPLAY_P3, SRGB
from infra.samples.rooms import living_room
from tests.benchmarks.core import one_core
from tests.benchmarks.table import heading, repeated, row
from tests.gpu_handler.imaging.heic import write_grid

Bytes = NDArray[np.uint8]

ROUNDS = 7
PLAIN_ROUNDS = 2
TWELVE_MEGAPIXELS = 2.0


def run() -> None:
    """Print milliseconds (least and median), the plain way's, and the ratio of the medians."""
    with one_core():
        pixels = living_room(TWELVE_MEGAPIXELS).pixels
        height, width = pixels.shape[:2]
        title = f"Codecs, {width} × {height}, one core, ms"
        heading(title, "ours: least", "median", "plain: median", "ratio")
        _decoding(pixels)
        _encoding(pixels)


def _decoding(pixels: Bytes) -> None:
    image, layered = Image.fromarray(pixels), Image.fromarray(pixels)
    layered.putalpha(Image.fromarray(pixels[..., 0]))
    files = {
        "JPEG": _saved(image, "JPEG", quality=93),
        "JPEG, progressive": _saved(image, "JPEG", quality=93, progressive=True),
        "PNG": encode_png(pixels),
        "PNG, alpha": _saved(layered, "PNG", compress_level=1),
        "WebP": _saved(image, "WEBP", quality=90, method=0),
        "WebP, alpha": _saved(layered, "WEBP", quality=90, method=0),
    }
    for name, data in files.items():
        _compare(f"decode {name}", lambda d=data: decode_image(d), lambda d=data: _plain(d))
    wide = _saved(image, "JPEG", quality=93, icc_profile=DISPLAY_P3)
    _compare("decode JPEG, Display P3", lambda: decode_image(wide), lambda: _plain_p3(wide))
    tile = np.ascontiguousarray(pixels[:512, :512])
    raw = write_grid([tile] * 48, 8, (4032, 3024))
    _compare("decode HEIC (raw samples, 48 tiles)", lambda: decode_image(raw))


def _encoding(pixels: Bytes) -> None:
    image = Image.fromarray(pixels)
    alpha = np.zeros(pixels.shape[:2], np.uint8)
    cv2.ellipse(alpha, (1800, 1400), (1500, 900), 20, 0, 360, (255,), -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (7, 7), 0), np.uint8)
    mask = Image.fromarray(alpha)
    _compare("PNG", lambda: encode_png(pixels), lambda: _saved(image, "PNG"))
    _compare("mask, 8 bits", lambda: encode_mask_png(alpha), lambda: _saved(mask, "PNG"))
    _compare(
        "mask, 1 bit",
        lambda: encode_mask_png(alpha, 1),
        lambda: _saved(mask.convert("1", dither=Image.Dither.NONE), "PNG"),
    )
    _compare("preview", lambda: encode_preview(pixels), lambda: _plain_preview(image))


def _compare(
    name: str, ours: Callable[[], object], plain: Callable[[], object] | None = None
) -> None:
    ours()
    seconds = repeated(ours, ROUNDS)
    median = statistics.median(seconds)
    if plain is None:
        row(name, min(seconds) * 1000, median * 1000)
        return
    reference = statistics.median(repeated(plain, PLAIN_ROUNDS))
    row(name, min(seconds) * 1000, median * 1000, reference * 1000, reference / median)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _plain(data: bytes) -> Bytes:
    """As tutorials have it; what is transparent lies on white."""
    image = Image.open(io.BytesIO(data))
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _plain_p3(data: bytes) -> Bytes:
    image = Image.open(io.BytesIO(data))
    profiles = [ImageCms.ImageCmsProfile(io.BytesIO(p)) for p in (DISPLAY_P3, SRGB)]
    return np.asarray(ImageCms.profileToProfile(image, profiles[0], profiles[1]))


def _plain_preview(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((1600, 1600), Image.Resampling.LANCZOS)
    return _saved(small, "JPEG", quality=82)
