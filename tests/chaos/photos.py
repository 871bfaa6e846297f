"""Tiny photos of a few kinds, and files that are none, so that some items fail and refund."""

import io
import random

import numpy as np
from PIL import Image

SIZE = (64, 48)
BROKEN_SHARE = 0.12


def photo(luck: random.Random) -> bytes:
    """The bytes of one upload: a JPEG or PNG of 64x48, or with a small chance something broken."""
    if luck.random() < BROKEN_SHARE:
        return luck.choice(_BROKEN)
    return luck.choice(_GOOD)


def _room(wall: tuple[int, int, int], floor: tuple[int, int, int], form: str) -> bytes:
    width, height = SIZE
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height * 2 // 3] = wall
    pixels[height * 2 // 3 :] = floor
    pixels[:, ::8] //= 2
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


_GOOD = [
    _room((200, 190, 170), (120, 80, 40), "JPEG"),
    _room((150, 170, 200), (90, 90, 90), "JPEG"),
    _room((220, 220, 215), (140, 110, 80), "PNG"),
]
_BROKEN = [b"this is not a photo", _GOOD[0][: len(_GOOD[0]) // 3], b"\xff\xd8\xff\xe0" + bytes(64)]
