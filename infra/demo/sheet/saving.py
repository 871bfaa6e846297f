"""Saving the sheet as a PNG that is small enough to look at in a browser or a README."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

LARGEST_BYTES = 4_000_000
_STEPS = (1, 2, 3, 4, 5, 6)
_COMPRESSION = 6


def save_sheet(sheet: Image.Image, path: Path, largest: int = LARGEST_BYTES) -> int:
    """Write `sheet` as a PNG of at most `largest` bytes, and give back its size in bytes.

    Noise is what makes photos large as PNG. Rounding every level to a multiple of a small number
    takes its last bits away, which cannot be seen up to about 4; after that the picture is shrunk.
    """
    while True:
        for step in _STEPS:
            data = encoded(rounded_levels(sheet, step))
            if len(data) <= largest:
                path.write_bytes(data)
                return len(data)
        sheet = sheet.resize((max(1, sheet.width * 7 // 8), max(1, sheet.height * 7 // 8)))


def rounded_levels(image: Image.Image, step: int) -> Image.Image:
    """Levels rounded to multiples of `step`; black stays black and white stays white."""
    if step == 1:
        return image
    levels = np.minimum(np.round(np.arange(256) / step) * step, 255)
    levels[255] = 255
    return image.point([int(level) for level in levels] * len(image.getbands()))


def encoded(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()
