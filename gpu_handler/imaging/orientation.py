"""Turning pixels upright by the EXIF orientation (Exif 2.32, tag 0x0112)."""

import cv2
import numpy as np
from PIL import ExifTags, Image

from gpu_handler.imaging.pixels import Pixels


def read_orientation(image: Image.Image) -> int:
    """1..8; 1 where there is none or the metadata cannot be read."""
    try:
        return _valid(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 broken metadata must not cost the photo
        return 1


def exif_orientation(block: bytes | None) -> int:
    """The same from an EXIF block as a WebP carries it, with or without `Exif\\0\\0` before it."""
    if not block:
        return 1
    try:
        exif = Image.Exif()
        exif.load(block)
        return _valid(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 as above
        return 1


def _valid(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels as they are meant to be seen; the same array where they already are."""
    match orientation:
        case 2:
            turned = cv2.flip(pixels, 1)
        case 3:
            turned = cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(pixels, 0)
        case 5:
            turned = cv2.transpose(pixels)
        case 6:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.flip(cv2.transpose(pixels), -1)
        case 8:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return pixels
    return np.asarray(turned, np.uint8)
