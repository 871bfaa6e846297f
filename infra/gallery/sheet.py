"""The sheet: a card for each shot."""

from collections.abc import Sequence

import cv2
import numpy as np
from msgspec import Struct
from PIL import Image

from gpu_handler.imaging.pixels import Pixels
from infra.demo.sheet.canvas import CARD, LINE, MUTED, Canvas
from infra.demo.sheet.lettering import drawable, wrapped

WIDTH = 1760
_MARGIN = 28
_PADDING = 18
_GAP = 14
_WORDS = 300
_PICTURE = 480
_EDGE = 360  # shown; the square taken from the photo is half as wide


class Card(Struct, frozen=True, eq=False):
    """One row. Pictures are of the photo's size; `place` is the corner of the square at 200 %."""

    title: str
    lines: Sequence[str]
    before: Pixels
    after: Pixels
    place: tuple[int, int]
    asked: Sequence[tuple[int, int, int]] = ()
    reached: Sequence[tuple[int, int, int]] = ()


class Strip(Struct, frozen=True, eq=False):
    """Many results of one photo, each with a word below it."""

    title: str
    pictures: Sequence[tuple[str, Pixels]]


EDGE_SIDE = _EDGE // 4
"""Side in pixels of the photo of the square that is shown twice as large: 90 before, 90 after."""


def draw(rows: Sequence[Card | Strip], heading: str) -> Image.Image:
    """The whole sheet."""
    page = Canvas(WIDTH, 800)
    page.text(heading, _MARGIN, 46, 30, strong=True)
    page.text("before, after, the edge at 200 % before and after", _MARGIN, 84, 18, MUTED)
    y = 112
    for row in rows:
        y = (_card(page, row, y) if isinstance(row, Card) else _strip(page, row, y)) + _GAP
    page.reach(y + _MARGIN)
    return page.cropped(y + _MARGIN)


def _card(page: Canvas, card: Card, y: int) -> int:
    height = round(_PICTURE * card.before.shape[0] / card.before.shape[1])
    height = max(180, min(height, 480))
    bottom = y + height + 2 * _PADDING
    page.reach(bottom + 1)
    page.box((_MARGIN, y, WIDTH - 2 * _MARGIN, bottom - y), CARD, 14, LINE)
    x, top = _MARGIN + _PADDING, y + _PADDING
    _words(page, card, x, top)
    x += _WORDS + _GAP
    for pixels in (card.before, card.after):
        page.picture(_fitted(pixels, _PICTURE, height), x, top, 8)
        x += _PICTURE + _GAP
    side = min(_EDGE, height) // 2
    for number, pixels in enumerate((card.before, card.after)):
        edge = _magnified(pixels, card.place, (_EDGE, side))
        page.picture(edge, x, top + number * (side + _GAP // 2), 8)
    return bottom


def _words(page: Canvas, card: Card, x: int, top: int) -> None:
    y = top + 12
    for line in wrapped(drawable(card.title, "photo"), 22, _WORDS, 3):
        page.text(line, x, y, 22, strong=True)
        y += 28
    for asked, reached in zip(card.asked, card.reached, strict=True):
        for number, (word, rgb) in enumerate((("asked", asked), ("reached", reached))):
            page.box((x + 130 * number, y, 40, 24), _hex(rgb), 6, LINE)
            page.text(word, x + 130 * number + 48, y + 12, 16, MUTED)
        y += 32
    for text in card.lines:
        for line in wrapped(drawable(text, "..."), 16, _WORDS, 2):
            page.text(line, x, y + 10, 16, MUTED)
            y += 22


def _strip(page: Canvas, strip: Strip, y: int) -> int:
    count = len(strip.pictures)
    inner = WIDTH - 2 * _MARGIN - 2 * _PADDING
    width = (inner - _GAP * (count - 1)) // count
    first = strip.pictures[0][1]
    height = round(width * first.shape[0] / first.shape[1])
    bottom = y + height + 2 * _PADDING + 64
    page.reach(bottom + 1)
    page.box((_MARGIN, y, WIDTH - 2 * _MARGIN, bottom - y), CARD, 14, LINE)
    page.text(strip.title, _MARGIN + _PADDING, y + 28, 22, strong=True)
    for number, (word, pixels) in enumerate(strip.pictures):
        x = _MARGIN + _PADDING + number * (width + _GAP)
        page.picture(_fitted(pixels, width, height), x, y + 48, 8)
        page.text(word, x + 4, y + 48 + height + 18, 17, MUTED)
    return bottom


def _fitted(pixels: Pixels, width: int, height: int) -> Image.Image:
    """The whole picture in a box, on the card where its shape differs."""
    factor = min(width / pixels.shape[1], height / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    box = Image.new("RGB", (width, height), CARD)
    box.paste(Image.fromarray(small), ((width - size[0]) // 2, (height - size[1]) // 2))
    return box


def _magnified(pixels: Pixels, place: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Every pixel of the photo as 2 x 2, around the square at `place`."""
    width, height = size[0] // 2, size[1] // 2
    x = min(max(0, place[0] + EDGE_SIDE // 2 - width // 2), max(0, pixels.shape[1] - width))
    y = min(max(0, place[1] + EDGE_SIDE // 2 - height // 2), max(0, pixels.shape[0] - height))
    part = Image.fromarray(np.ascontiguousarray(pixels[y : y + height, x : x + width]))
    return part.resize(size, Image.Resampling.NEAREST)


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#" + bytes(rgb).hex().upper()
