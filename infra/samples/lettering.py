"""Printed things: labels with words, emblems; drawn with Pillow, read as paint."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from msgspec import Struct
from PIL import Image, ImageDraw, ImageFont

from infra.samples.camera import Floats, Vectors
from infra.samples.lookup import read
from infra.samples.surface import Paint

DOTS = 900
"""Printed dots along a label's longer side."""


class Print(Struct, frozen=True):
    """A paper label `width` × `height` metres: words from top to bottom, the first one largest."""

    width: float
    height: float
    words: tuple[str, ...]
    paper: str = "#F3EEE2"
    ink: str = "#2B2B2B"
    rule: str = "#B98E5E"


def printed(label: Print, *, centred: bool) -> Paint:
    """Paint for a surface of the label's size; `centred` where u runs from -width/2."""

    def paint(u: Floats, v: Floats) -> Vectors:
        dots = _dots(label)
        height, width = dots.shape[:2]
        across = u / label.width + (0.5 if centred else 0.0)
        x = np.clip(across, 0, 1) * (width - 1)
        y = (1 - np.clip(v / label.height, 0, 1)) * (height - 1)
        return read(dots, x, y)

    return paint


@cache
def _dots(label: Print) -> Vectors:
    per_metre = DOTS / max(label.width, label.height)
    width, height = round(label.width * per_metre), round(label.height * per_metre)
    image = Image.new("RGB", (width, height), label.paper)
    draw = ImageDraw.Draw(image)
    edge = width * 0.05
    frame = (edge, edge, width - edge, height - edge)
    draw.rectangle(frame, outline=label.rule, width=max(2, width // 120))
    _write(draw, label.words, label.ink, width, height)
    value = np.asarray(image, np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def _write(
    draw: ImageDraw.ImageDraw, words: Sequence[str], ink: str, width: int, height: int
) -> None:
    alone = len(words) == 1
    y = height * (0.22 if alone else 0.2)
    for index, word in enumerate(words):
        size = height * (0.55 if alone else 0.2 if index == 0 else 0.085)
        font = ImageFont.load_default(size=size)
        size *= min(1.0, width * 0.8 / max(1.0, draw.textlength(word, font=font)))
        font = ImageFont.load_default(size=size)
        draw.text((width / 2, y), word, fill=ink, font=font, anchor="ma")
        y += size * 1.5
