"""What a phone makes of the light: exposure, lens blur, vignetting, noise, JPEG with EXIF."""

import io
from functools import cache

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

from infra.samples.camera import Floats, Vectors

BLUR = 0.0004
"""Standard deviation of the lens blur, in picture widths."""

CURVE_STEPS = 4096
CURVE_END = 4 * CURVE_STEPS


class Sample(Struct, frozen=True, eq=False):
    """A photo and its exact ground truth.

    `pixels` (H, W, 3) uint8 sRGB; `masks` by concept id: (H, W) uint8 coverage, 255 = all of the
    pixel, blurred by the lens exactly as the photo is. `things`: furniture and pictures, likewise.
    """

    name: str
    pixels: NDArray[np.uint8]
    masks: dict[str, NDArray[np.uint8]]
    things: dict[str, NDArray[np.uint8]] = {}


class Film(Struct, frozen=True):
    """`exposure` scales the light; `balance` multiplies R, G, B; `noise` in 8-bit levels."""

    exposure: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 1.6
    seed: int = 1


def develop(light: Vectors, film: Film) -> NDArray[np.uint8]:
    """Linear light to an 8-bit sRGB photo."""
    height, width = light.shape[:2]
    exposed = light * np.asarray(film.balance, np.float32) * film.exposure
    exposed = cv2.GaussianBlur(exposed, (0, 0), max(0.3, BLUR * width)) * _vignette(height, width)
    curved = np.take(_curve(), np.clip(exposed * CURVE_STEPS, 0, CURVE_END).astype(np.int32))
    random = np.random.default_rng(film.seed)
    grain = random.standard_normal((height, width, 1), dtype=np.float32)
    grain = grain + 0.5 * random.standard_normal((height, width, 3), dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * film.noise
    return np.clip(curved + grain, 0, 255).astype(np.uint8)


@cache
def _curve() -> Floats:
    """8-bit sRGB for linear light in steps of 1 / CURVE_STEPS, half a level added for rounding.

    A shoulder like a phone's: straight in the shadows, never a hard edge into white.
    """
    light = np.arange(CURVE_END + 1, dtype=np.float32) / CURVE_STEPS
    bent = np.where(light < 0.6, light, 0.6 + 0.4 * (1 - np.exp(-(light - 0.6) / 0.4)))
    curved = np.where(bent <= 0.0031308, bent * 12.92, 1.055 * np.power(bent, 1 / 2.4) - 0.055)
    return (curved * 255 + 0.5).astype(np.float32)


def cover(seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The coverage of a concept: where it is seen, through the same lens."""
    width = seen.shape[1]
    sharp = seen.astype(np.float32) * 255
    return (cv2.GaussianBlur(sharp, (0, 0), max(0.3, BLUR * width)) + 0.5).astype(np.uint8)


def _vignette(height: int, width: int) -> Floats:
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * (height / width)
    return (1 - 0.16 * (x * x + y * y))[..., None]


def encode_jpeg(sample: Sample, quality: int = 93) -> bytes:
    """The photo as a phone would send it, with its make, time and place in the EXIF block."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Example", "Example Phone"
    exif[0x0112] = 1
    exif[0x0132] = "2026:11:20 09:30:00"
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (37.0, 33.0, 58.8)
    place[3], place[4] = "E", (126.0, 58.0, 40.8)
    buffer = io.BytesIO()
    Image.fromarray(sample.pixels).save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()
