"""Colour profiles: whatever a photo was tagged with becomes sRGB."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.profiles import SRGB

_MAX_PROFILE_BYTES = 8 * 1024 * 1024  # large CMYK press profiles have 2-3 MB
_SAME_LEVELS = 2  # what rounding in a profile's own curves may differ by
_STRIP = 128  # rows converted at a time: Pillow's own copy of a whole photo costs 4 bytes a pixel

_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""The colour space that a profile's header names -> Pillow's mode for it."""


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Pixels, str | None]:
    """sRGB pixels of an RGB, L or CMYK image, and what could not be honoured (a sentence).

    Relative colorimetric with black point compensation, as browsers and photo tools do. A profile
    that is broken or belongs to another colour space is left aside: the values then count as sRGB
    (CMYK: as uncalibrated ink).
    """
    transform, warning = _transform(profile, image.mode)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in _strips(image.height):
        part = image.crop((0, rows.start, image.width, rows.stop))
        pixels[rows] = np.asarray(_apply(part, transform))
    return pixels, warning


def pixels_to_srgb(pixels: Pixels, profile: bytes | None) -> str | None:
    """The same in place, for (H, W, 3) values of the colour space that `profile` describes."""
    transform, warning = _transform(profile, "RGB")
    if transform is not None:
        for rows in _strips(len(pixels)):
            pixels[rows] = np.asarray(_apply(Image.fromarray(pixels[rows]), transform))
    return warning


def _strips(height: int) -> Iterator[slice]:
    return (slice(y, min(y + _STRIP, height)) for y in range(0, height, _STRIP))


def _apply(part: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    if transform is None:
        return part.convert("RGB")
    part = part.convert(transform.input_mode)
    return ImageCms.applyTransform(part, transform) or part


def _transform(
    profile: bytes | None, mode: str
) -> tuple[ImageCms.ImageCmsTransform | None, str | None]:
    """(None, None) where nothing has to change, (None, a sentence) where nothing can."""
    if not profile:
        return None, None
    try:
        transform = _build(profile, mode)
        return (None if _changes_nothing(transform) else transform), None
    except Exception:  # noqa: BLE001 lcms reports with several exception types
        return None, "The colour profile cannot be read; sRGB is assumed."


def _build(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    space = _MODES.get(profile[16:20])
    fits = space == mode or (space, mode) == ("RGB", "L")
    if space is None or not fits or len(profile) > _MAX_PROFILE_BYTES:
        raise ValueError(f"a profile of {len(profile)} bytes for {space} on mode {mode}")
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(io.BytesIO(SRGB)),
        space,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform is sRGB to sRGB, tried on a cube of 9 x 9 x 9 colours.

    Most tagged photos are; trying costs microseconds and no name in a profile need be believed.
    """
    if transform.input_mode != "RGB":
        return False
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
    there = np.asarray(_apply(Image.fromarray(cube), transform), np.int16)
    return int(np.abs(there - cube).max()) <= _SAME_LEVELS
