"""Chips: a small swatch with a word beside it, set in lines."""

from collections.abc import Sequence

from msgspec import Struct
from PIL import Image

from infra.demo.sheet.canvas import INK, LINE, Canvas, rounded
from infra.demo.sheet.lettering import fitted, font

_INNER_GAP = 7
_OUTER_GAP = 18


class ChipSize(Struct, frozen=True):
    """Pixels: the swatch's width and height, the letters' size, the distance between lines."""

    swatch: tuple[int, int]
    letters: int
    line: int


SMALL = ChipSize((18, 18), 17, 26)
LARGE = ChipSize((54, 34), 22, 46)


class Chip(Struct, frozen=True, eq=False):
    """`swatch` is RGB and is drawn as large as the chip's size says."""

    swatch: Image.Image
    text: str
    color: str = INK
    edge: str = LINE


def chip_lines(chips: Sequence[Chip], size: ChipSize, width: int) -> list[list[Chip]]:
    """The chips broken into lines of at most `width` pixels."""
    lines: list[list[Chip]] = []
    left = 0.0
    for chip in chips:
        needed = size.swatch[0] + _INNER_GAP + font(size.letters).getlength(chip.text)
        if not lines or needed > left:
            lines.append([])
            left = float(width)
        lines[-1].append(chip)
        left -= needed + _OUTER_GAP
    return lines


def draw_chips(
    canvas: Canvas, lines: Sequence[Sequence[Chip]], size: ChipSize, x: int, y: int, width: int
) -> int:
    """Draw below `y`, and give back where the next thing may start."""
    for line in lines:
        place = float(x)
        for chip in line:
            place = _draw_chip(canvas, chip, size, int(place), y, x + width) + _OUTER_GAP
        y += size.line
    return y


def _draw_chip(canvas: Canvas, chip: Chip, size: ChipSize, x: int, y: int, end: int) -> float:
    width, height = size.swatch
    top = y + (size.line - height) // 2
    radius = height // 4
    canvas.image.paste(chip.edge, (x, top), rounded((width, height), radius))
    inner = chip.swatch.resize((width - 2, height - 2))
    canvas.picture(inner, x + 1, top + 1, radius - 1)
    start = x + width + _INNER_GAP
    text = fitted(chip.text, size.letters, end - start)
    return canvas.text(text, start, y + size.line / 2, size.letters, chip.color)
