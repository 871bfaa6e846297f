"""One photo the way a tutorial does it: Pillow for files, float64 NumPy for pixels."""

import io
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image, ImageOps

Array: TypeAlias = NDArray[np.floating[Any]]

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _TO_XYZ.sum(1)


class Outputs(Struct, frozen=True):
    result: bytes
    preview: bytes
    masks: tuple[bytes, ...]


def decode(jpeg: bytes) -> NDArray[np.uint8]:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg)))
    return np.asarray(image.convert("RGB"))


def upsample(logits: Array, shape: tuple[int, int]) -> Array:
    """Bilinear, then the sigmoid: (H, W) in 0..1."""
    y = np.clip((np.arange(shape[0]) + 0.5) * logits.shape[0] / shape[0] - 0.5, 0, None)
    x = np.clip((np.arange(shape[1]) + 0.5) * logits.shape[1] / shape[1] - 0.5, 0, None)
    y0 = np.minimum(y.astype(int), logits.shape[0] - 2)
    x0 = np.minimum(x.astype(int), logits.shape[1] - 2)
    fy, fx = np.minimum(y - y0, 1)[:, None], np.minimum(x - x0, 1)[None]
    top = logits[y0][:, x0] * (1 - fx) + logits[y0][:, x0 + 1] * fx
    bottom = logits[y0 + 1][:, x0] * (1 - fx) + logits[y0 + 1][:, x0 + 1] * fx
    return 1 / (1 + np.exp(-(top * (1 - fy) + bottom * fy)))


def to_lab(rgb: Array) -> Array:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), -1)


def from_lab(lab: Array) -> Array:
    y = (lab[..., 0] + 16) / 116
    f = np.stack((y + lab[..., 1] / 500, y, y - lab[..., 2] / 200), -1)
    xyz = np.where(f > 0.2069, f**3, (f - 16 / 116) / 7.787) * _WHITE
    linear = np.clip(xyz @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def recolor(pixels: NDArray[np.uint8], alpha: Array, rgb: tuple[int, int, int]) -> Array:
    """Lab with the surface's lightness shifted to the target's and its colour replaced; 0..255."""
    target = to_lab(np.array(rgb) / 255)
    lab = to_lab(pixels / 255)
    inside = alpha > 0.5
    lab[..., 0] *= target[0] / max(lab[..., 0][inside].mean(), 1)
    lab[..., 1:] = target[1:]
    cover = alpha[..., None]
    return pixels * (1 - cover) + from_lab(lab) * 255 * cover


def work(
    jpeg: bytes, logits: Sequence[Array], rgb: tuple[int, int, int], preview_side: int
) -> Outputs:
    """The first mask is recoloured, the second protected."""
    pixels = decode(jpeg)
    alphas = [upsample(one.astype(np.float64), pixels.shape[:2]) for one in logits]
    painted = recolor(pixels, alphas[0] * (1 - alphas[1]), rgb)
    result = Image.fromarray((painted + 0.5).clip(0, 255).astype(np.uint8))
    small = result.copy()
    small.thumbnail((preview_side, preview_side), Image.Resampling.LANCZOS)
    masks = [Image.fromarray((alpha * 255).astype(np.uint8)) for alpha in alphas]
    return Outputs(
        _saved(result, "PNG"),
        _saved(small, "JPEG", quality=82),
        tuple(_saved(mask, "PNG") for mask in masks),
    )


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
