"""Colour profiles: whatever a photo was tagged with becomes sRGB.

Relative colorimetric with black point compensation, as browsers and photo tools do: colours that
sRGB holds stay what they are, those beyond it are clipped channel by channel in linear light, which
keeps the order of the channels and so the kind of colour. A profile that is broken or belongs to
another colour space is left aside: the values then count as sRGB (CMYK: as uncalibrated ink).
"""

import io
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms

from gpu_handler.imaging.matrix import MatrixConversion, read_matrix_profile
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.profiles import SRGB
from gpu_handler.imaging.strips import strips

Conversion: TypeAlias = MatrixConversion | ImageCms.ImageCmsTransform | None
"""None: nothing has to change, or nothing can."""

_MAX_PROFILE_BYTES = 8 * 1024 * 1024  # large CMYK press profiles have 2-3 MB
_SAME_LEVELS = 2  # what rounding in a profile's own curves may differ by

_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""The colour space that a profile's header names -> Pillow's mode for it."""


def find_conversion(profile: bytes | None, mode: str) -> tuple[Conversion, str | None]:
    """What a profile asks of an image of mode RGB, L or CMYK, and why it cannot be (a sentence)."""
    if not profile:
        return None, None
    try:
        return _conversion(profile, mode), None
    except Exception:  # noqa: BLE001 lcms reports with several exception types
        return None, "The colour profile cannot be read; sRGB is assumed."


def converted(part: Image.Image, conversion: Conversion) -> Pixels:
    """(H, W, 3) sRGB of an RGB, L or CMYK image, perhaps read-only."""
    if conversion is None:
        return np.asarray(part if part.mode == "RGB" else part.convert("RGB"), np.uint8)
    if not isinstance(conversion, MatrixConversion):
        return _by_lcms(part, conversion)
    pixels = np.array(part if part.mode == "RGB" else part.convert("RGB"), np.uint8)
    conversion.apply(pixels)
    return pixels


def pixels_to_srgb(pixels: Pixels, profile: bytes | None) -> str | None:
    """The same in place, for (H, W, 3) values of the colour space that `profile` describes."""
    conversion, warning = find_conversion(profile, "RGB")
    for rows in strips(len(pixels)) if conversion is not None else ():
        part = pixels[rows]
        if isinstance(conversion, MatrixConversion):
            conversion.apply(part)
        elif conversion is not None:
            part[:] = _by_lcms(Image.fromarray(part), conversion)
    return warning


def _conversion(profile: bytes, mode: str) -> Conversion:
    transform = _transform(profile, mode)
    if transform.input_mode != "RGB":
        return transform
    expected = _by_lcms(Image.fromarray(_CUBE), transform)
    if _difference(expected, _CUBE) <= _SAME_LEVELS:
        return None  # most tagged photos are sRGB, and no name in a profile need be believed
    fast = read_matrix_profile(profile)
    if fast is not None:
        tried = _CUBE.copy()
        fast.apply(tried)
        if _difference(tried, expected) <= 1:
            return fast
    return transform


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
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


def _by_lcms(part: Image.Image, transform: ImageCms.ImageCmsTransform) -> Pixels:
    part = part if part.mode == transform.input_mode else part.convert(transform.input_mode)
    return np.asarray(ImageCms.applyTransform(part, transform) or part, np.uint8)


def _difference(first: Pixels, second: Pixels) -> int:
    return int(np.abs(first.astype(np.int16) - second).max())


def _cube() -> Pixels:
    """17 x 17 x 17 colours: what two conversions do to them tells whether they are the same."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 17, 3)


_CUBE = _cube()
