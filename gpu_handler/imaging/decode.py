"""A file of unknown origin to upright sRGB pixels, or one clear refusal."""

import io

import cv2
import numpy as np
import simplejpeg
from msgspec import Struct
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from gpu_handler.imaging.errors import ImageError, ImageErrorCode, corrupt, truncated
from gpu_handler.imaging.headers import Header, ImageFormat
from gpu_handler.imaging.heif import open_heif
from gpu_handler.imaging.icc import pixels_to_srgb, to_srgb
from gpu_handler.imaging.orientation import read_orientation, upright
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.probe import MAX_BYTES, MAX_PIXELS, MAX_SIDE, probe

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "DecodedImage",
    "ImageError",
    "ImageErrorCode",
    "decode_image",
]


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
    image = _open(data, header.format)
    if image.size != (header.width, header.height):
        raise corrupt("it gives two different sizes")
    warnings = ["Only the first frame of the animation is used."] if header.animated else []
    orientation = read_orientation(image)
    if isinstance(image, JpegImageFile):
        pixels, told = _jpeg_pixels(data, image)
    else:
        pixels, told = _pixels(image, image.info.get("icc_profile"))
    return DecodedImage(upright(pixels, orientation), header.format, (*warnings, *told))


def _decode_heif(data: bytes) -> DecodedImage:
    image, profile, warning = open_heif(data)
    pixels, told = _pixels(image, profile)
    return DecodedImage(pixels, ImageFormat.HEIF, ((warning,) if warning else ()) + told)


def _open(data: bytes, format_: ImageFormat) -> ImageFile.ImageFile:
    """Pillow's own class for a format, which reads the header alone.

    Image.open would try every plugin and warn through the process-wide bomb limit.
    """
    match format_:
        case ImageFormat.JPEG:
            return JpegImageFile(io.BytesIO(data))
        case ImageFormat.PNG:
            return PngImageFile(io.BytesIO(data))
        case ImageFormat.WEBP:
            return WebPImageFile(io.BytesIO(data))
        case ImageFormat.HEIF:
            raise ValueError("HEIF is not Pillow's")


def _jpeg_pixels(data: bytes, image: JpegImageFile) -> tuple[Pixels, tuple[str, ...]]:
    """JPEG by libjpeg-turbo directly: 3 times as fast as through Pillow, and strict.

    What it reports as damaged is decoded by Pillow, which passes over damage in silence.
    """
    profile = image.info.get("icc_profile")
    try:
        values = simplejpeg.decode_jpeg(data, _TURBO[image.mode], strict=True)
    except ValueError as error:
        if "Premature end of JPEG file" in str(error):
            raise truncated() from error
        pixels, told = _pixels(image, profile)
        return pixels, (*told, "The file is damaged; parts of the picture may be wrong.")
    if image.mode == "RGB":
        pixels = np.asarray(values, np.uint8)
        warning = pixels_to_srgb(pixels, profile)
        return pixels, ((warning,) if warning else ())
    if image.mode == "CMYK":
        values = cv2.bitwise_not(values)  # Adobe stores ink inverted, and everyone follows
    return _pixels(Image.frombuffer(image.mode, image.size, values), profile)


_TURBO = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
"""Pillow's mode of a JPEG -> libjpeg-turbo's name for it."""


def _pixels(image: Image.Image, profile: bytes | None) -> tuple[Pixels, tuple[str, ...]]:
    """Any of Pillow's modes to sRGB: depth to 8 bits, colours through the profile, alpha on white.

    The array is the caller's own and may be written to.
    """
    colour, alpha = _split_alpha(_eight_bits(image))
    pixels, warning = to_srgb(colour, profile)
    if alpha is not None:
        _lay_on_white(pixels, np.asarray(alpha))
    return pixels, ((warning,) if warning else ())


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


def _lay_on_white(pixels: Pixels, alpha: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Blend in place, in the encoded values as browsers do."""
    cover = cv2.merge((alpha, alpha, alpha))
    cv2.multiply(pixels, cover, dst=pixels, scale=1 / 255)
    cv2.add(pixels, cv2.bitwise_not(cover), dst=pixels)
