"""Small JPEG previews without any metadata."""

import numpy as np
import simplejpeg

from gpu_handler.imaging.pixels import Pixels, shrink


def encode_preview(pixels: Pixels, longest_side: int = 1600, quality: int = 82) -> bytes:
    """Baseline JPEG (4:2:0) of (H, W, 3) sRGB, shrunk to `longest_side`, never enlarged.

    Without a profile, which every viewer reads as sRGB.
    """
    small = np.ascontiguousarray(shrink(pixels, longest_side))
    return bytes(simplejpeg.encode_jpeg(small, quality, "RGB", "420"))
