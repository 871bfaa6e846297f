"""Pictures of any of Pillow's modes to sRGB: 8 bits, colours through the profile, alpha on white.

Done by strips: beside the picture itself only the result, 3 bytes a pixel, is needed.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_handler.imaging.icc import converted, find_conversion
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.imaging.strips import strips


def flatten_image(image: Image.Image, profile: bytes | None) -> tuple[Pixels, str | None]:
    """(H, W, 3) sRGB that may be written to, and what could not be honoured (a sentence)."""

    def part(rows: slice) -> Image.Image:
        return _eight_bits(image.crop((0, rows.start, image.width, rows.stop)))

    image.load()
    return _flatten(part, image.size, profile)


def flatten_array(
    values: NDArray[np.uint8], mode: str, profile: bytes | None
) -> tuple[Pixels, str | None]:
    """The same for a contiguous (H, W) or (H, W, C) array of Pillow's L, RGBA, RGBa or CMYK."""
    height, width = values.shape[:2]

    def part(rows: slice) -> Image.Image:
        size = (width, rows.stop - rows.start)
        return Image.frombuffer(mode, size, values[rows], "raw", mode, 0, 1)

    return _flatten(part, (width, height), profile)


def _flatten(
    part: Callable[[slice], Image.Image], size: tuple[int, int], profile: bytes | None
) -> tuple[Pixels, str | None]:
    mode = _split_alpha(part(slice(0, 1)))[0].mode
    conversion, warning = find_conversion(profile, mode)
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    for rows in strips(size[1]):
        colour, alpha = _split_alpha(part(rows))
        pixels[rows] = converted(colour, conversion)
        if alpha is not None:
            _lay_on_white(pixels[rows], np.asarray(alpha, np.uint8))
    return pixels, warning


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey (I;16 and its kin) to L: Pillow's own conversion would clip at 255."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).clip(0, 65535).astype(np.uint16)
    return Image.fromarray(cv2.convertScaleAbs(values, alpha=1 / 257))


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """(RGB, L or CMYK image, alpha or None where all of it is opaque)."""
    if image.mode in ("RGB", "L", "CMYK") and "transparency" not in image.info:
        return image, None
    if image.mode == "LA":
        colour, alpha = image.getchannel("L"), image.getchannel("A")
    elif image.has_transparency_data:
        layered = image.convert("RGBA")
        colour, alpha = layered.convert("RGB"), layered.getchannel("A")
    else:
        return image.convert("L" if image.mode == "1" else "RGB"), None
    return colour, None if alpha.getextrema() == (255, 255) else alpha


def _lay_on_white(pixels: Pixels, alpha: Alpha) -> None:
    """Blend in place, in the encoded values as browsers do."""
    cover = cv2.merge((alpha, alpha, alpha))
    cv2.multiply(pixels, cover, dst=pixels, scale=1 / 255)
    cv2.add(pixels, cv2.bitwise_not(cover), dst=pixels)
