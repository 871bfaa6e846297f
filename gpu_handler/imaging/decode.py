"""A file of unknown origin to upright sRGB pixels, or one clear refusal."""

import io
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
import simplejpeg
from msgspec import Struct
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from gpu_handler.imaging.errors import ImageError, ImageErrorCode, corrupt, truncated
from gpu_handler.imaging.flatten import flatten_array, flatten_image
from gpu_handler.imaging.headers import Header, ImageFormat
from gpu_handler.imaging.heif import decode_heif
from gpu_handler.imaging.icc import pixels_to_srgb
from gpu_handler.imaging.limits import MAX_BYTES, MAX_PIXELS, MAX_SIDE
from gpu_handler.imaging.orientation import exif_orientation, read_orientation, upright
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.probe import probe
from gpu_handler.imaging.webp import Webp, decode_webp, open_webp

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "DecodedImage",
    "ImageError",
    "ImageErrorCode",
    "decode_image",
]

T = TypeVar("T", bound=Image.Image)

_Decoded: TypeAlias = tuple[Pixels, int, tuple[str, ...]]
"""sRGB pixels as stored, their EXIF orientation, warnings."""


class DecodedImage(Struct, frozen=True, eq=False):
    """`format`: jpeg, png, webp or heif. `warnings`: sentences for a person, often none."""

    pixels: Pixels
    format: str
    warnings: tuple[str, ...] = ()


def decode_image(data: bytes) -> DecodedImage:
    """Decode JPEG, PNG, WebP or HEIC: upright, sRGB, 8 bits, transparency laid on white.

    The first frame of an animation; the primary picture of a HEIC. No metadata survives. Size and
    completeness are checked before pixels are allocated. May be called from several threads at
    once; the libraries release the GIL. Raises ImageError and nothing else.
    """
    try:
        header = probe(data)
        return _decode_heif(data) if header is None else _decode(data, header)
    except ImageError:
        raise
    except MemoryError as error:
        message = "The picture needs more memory than there is."
        raise ImageError(ImageErrorCode.IMAGE_TOO_LARGE, message) from error
    except Exception as error:
        # Decoders raise OSError, SyntaxError, ValueError, struct.error and more for bad files.
        if isinstance(error, EOFError) or "truncated" in str(error).lower():
            raise truncated() from error
        raise corrupt("it cannot be decoded") from error


def _decode(data: bytes, header: Header) -> DecodedImage:
    match header.format:
        case ImageFormat.JPEG:
            pixels, orientation, told = _decode_jpeg(data, header)
        case ImageFormat.PNG:
            pixels, orientation, told = _decode_png(data, header)
        case ImageFormat.WEBP:
            pixels, orientation, told = _decode_webp(data, header)
        case ImageFormat.HEIF:
            raise ValueError("HEIF has a way of its own")
    if header.animated:
        told = ("Only the first frame of the animation is used.", *told)
    return DecodedImage(upright(pixels, orientation), header.format, told)


def _decode_heif(data: bytes) -> DecodedImage:
    heif = decode_heif(data)
    if heif.mode == "RGB":
        pixels, warning = heif.values, pixels_to_srgb(heif.values, heif.profile)
    else:
        pixels, warning = flatten_array(heif.values, heif.mode, heif.profile)
    return DecodedImage(pixels, ImageFormat.HEIF, _told(heif.warning, warning))


def _decode_jpeg(data: bytes, header: Header) -> _Decoded:
    """JPEG by libjpeg-turbo directly: 3 times as fast as through Pillow, and strict.

    What it reports as damaged is decoded by Pillow, which passes over damage in silence.
    """
    image = _same_size(JpegImageFile(io.BytesIO(data)), header)
    orientation, profile = read_orientation(image), image.info.get("icc_profile")
    try:
        values = simplejpeg.decode_jpeg(data, _TURBO[image.mode], strict=True)
    except ValueError as error:
        if "Premature end of JPEG file" in str(error):
            raise truncated() from error
        pixels, warning = flatten_image(image, profile)
        damaged = "The file is damaged; parts of the picture may be wrong."
        return pixels, orientation, _told(warning, damaged)
    if image.mode == "RGB":
        pixels = np.asarray(values, np.uint8)
        warning = pixels_to_srgb(pixels, profile)
    else:
        if image.mode == "CMYK":
            cv2.bitwise_not(values, dst=values)  # Adobe stores ink inverted; everyone follows
        pixels, warning = flatten_array(np.asarray(values, np.uint8), image.mode, profile)
    return pixels, orientation, _told(warning)


def _decode_png(data: bytes, header: Header) -> _Decoded:
    image = _same_size(PngImageFile(io.BytesIO(data)), header)
    orientation = read_orientation(image)
    pixels, warning = flatten_image(image, image.info.get("icc_profile"))
    return pixels, orientation, _told(warning)


def _decode_webp(data: bytes, header: Header) -> _Decoded:
    webp = open_webp(data, (header.width, header.height))
    values = decode_webp(webp)
    if values.shape[2] == 3:
        pixels, warning = values, pixels_to_srgb(values, webp.profile)
    else:
        pixels, warning = flatten_array(values, "RGBA", webp.profile)
    return _on_canvas(pixels, webp), exif_orientation(webp.exif), _told(warning)


def _on_canvas(frame: Pixels, webp: Webp) -> Pixels:
    """A frame smaller than its animation, on white."""
    (height, width), (x, y) = frame.shape[:2], webp.corner
    if (width, height) == webp.size:
        return frame
    canvas = np.full((webp.size[1], webp.size[0], 3), 255, np.uint8)
    canvas[y : y + height, x : x + width] = frame
    return canvas


def _same_size(image: T, header: Header) -> T:
    if image.size != (header.width, header.height):
        raise corrupt("it gives two different sizes")
    return image


def _told(*sentences: str | None) -> tuple[str, ...]:
    return tuple(sentence for sentence in sentences if sentence)


_TURBO = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
"""Pillow's mode of a JPEG -> libjpeg-turbo's name for it."""
