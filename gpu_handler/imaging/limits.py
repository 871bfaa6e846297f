"""What a photo may be, and what decoding it may cost; docs/decoding.md has the measurements."""

from shared.messages import MAX_INPUT_BYTES

MAX_BYTES = MAX_INPUT_BYTES
"""A 48-megapixel phone JPEG has 7-20 MB, a 16-bit PNG of 12 megapixels about 40."""

MAX_PIXELS = 50_000_000
"""The largest phone photos have 48-50 megapixels; imgproxy refuses above 50 as well."""

MAX_SIDE = 30_000
"""Panoramas reach about 16,000. OpenCV's warps index with 16 bits: 32,767 is a wall."""

MEMORY_PER_PIXEL = 13
"""Bytes at the peak: a progressive CMYK JPEG holds 8 of coefficients and 4 of samples."""

MEMORY_BESIDE = 112 * 1024 * 1024
"""Whatever the size: tables of the libraries, and metadata that inflates (Pillow: 64 MiB)."""


def memory_bound(pixels: int) -> int:
    """Bytes that decoding a picture of so many pixels may take, its own array included."""
    return MEMORY_PER_PIXEL * pixels + MEMORY_BESIDE
