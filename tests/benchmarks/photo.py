"""One 12 MP photo through the handler's steps, each beside the plain library call."""

import io
import statistics
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.png import encode_png
from gpu_handler.imaging.preview import encode_preview
from gpu_handler.masks import EdgeGuide
from gpu_handler.rules.compose import Layer, compose
from gpu_handler.segment.classical import ClassicalSegmenter
from infra.samples import Sample, encode_jpeg
from infra.samples.rooms import living_room
from shared.presets import find_preset
from shared.rules import Recolor
from tests.benchmarks.table import heading, repeated, row

ROUNDS = 5
TWELVE_MEGAPIXELS = 2.0


def run() -> None:
    """Print milliseconds, and where there is a plain way, its time and the ratio."""
    sample = living_room(TWELVE_MEGAPIXELS)
    jpeg, pixels = encode_jpeg(sample), sample.pixels
    concept = find_preset("interior").concept("Wall")
    engine, guide = ClassicalSegmenter(), EdgeGuide(pixels)
    (wall,) = engine.segment([pixels], [[concept]])[0]
    alpha = guide.alpha(wall.logits)
    layer = Layer("Wall", Recolor((163, 173, 148), "sage"), alpha)
    height, width = pixels.shape[:2]

    heading(f"One photo, {width} × {height}, ms", "ours", "plain", "ratio")
    _compare("decode JPEG", lambda: decode_image(jpeg), lambda: _pillow_decode(jpeg))
    _compare("segment Wall (classical)", lambda: engine.segment([pixels], [[concept]]))
    _compare("edge-accurate alpha", lambda: guide.alpha(wall.logits))
    _compare("recolour", lambda: compose(pixels, [layer], []), lambda: _lab_recolor(pixels, alpha))
    _compare("PNG", lambda: encode_png(pixels), lambda: _pillow_png(sample))
    _compare("preview", lambda: encode_preview(pixels), lambda: _pillow_preview(sample))


def _compare(
    name: str, ours: Callable[[], object], plain: Callable[[], object] | None = None
) -> None:
    seconds = statistics.median(repeated(ours, ROUNDS))
    if plain is None:
        row(name, seconds * 1000)
        return
    reference = statistics.median(repeated(plain, 2))
    row(name, seconds * 1000, reference * 1000, reference / seconds)


def _pillow_decode(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def _pillow_png(sample: Sample) -> None:
    Image.fromarray(sample.pixels).save(io.BytesIO(), "PNG")


def _pillow_preview(sample: Sample) -> None:
    image = Image.fromarray(sample.pixels)
    image.thumbnail((1600, 1600), Image.Resampling.LANCZOS)
    image.save(io.BytesIO(), "JPEG", quality=82)


def _lab_recolor(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> None:
    """Float Lab of the whole picture: lightness kept, colour replaced, blended."""
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab[..., 1:] = (-6.0, 11.0)
    painted = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32) * 255
    share = alpha.astype(np.float32)[..., None] / 255
    (pixels * (1 - share) + painted * share + 0.5).astype(np.uint8)
