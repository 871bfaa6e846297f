"""A page to draw on: smooth boxes, pictures with round corners, text. Colours are `#RRGGBB`."""

from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

from infra.demo.sheet.lettering import font

PAPER = "#F4F2EE"
CARD = "#FFFFFF"
MAT = "#ECE9E3"
INK = "#23211E"
MUTED = "#7B766E"
LINE = "#D9D5CD"
ALARM = "#A63A2B"
ALARM_PAPER = "#FBECE8"

_OVERSAMPLING = 4

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


class Canvas:
    """An RGB page that grows downwards; everything is placed by its top left corner in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def reach(self, bottom: int) -> None:
        """Make sure that the page goes down to `bottom`."""
        if bottom > self.image.height:
            longer = Image.new("RGB", (self.image.width, max(bottom, 2 * self.image.height)), PAPER)
            longer.paste(self.image, (0, 0))
            self.image = longer
            self._draw = ImageDraw.Draw(longer)

    def box(self, box: Box, fill: str, radius: int, edge: str | None = None) -> None:
        """A filled box with round corners, and a line of one pixel around it where asked."""
        x, y, width, height = box
        if edge is not None:
            self.image.paste(edge, (x, y), rounded((width, height), radius))
            x, y, width, height = x + 1, y + 1, width - 2, height - 2
            radius = max(0, radius - 1)
        self.image.paste(fill, (x, y), rounded((width, height), radius))

    def picture(self, image: Image.Image, x: int, y: int, radius: int) -> None:
        """An RGB picture as it is, with round corners."""
        self.image.paste(image, (x, y), rounded(image.size, radius))

    def text(
        self, text: str, x: float, y: float, size: int, color: str = INK, *, strong: bool = False
    ) -> float:
        """One line, vertically centred on `y`; gives back where it ends.

        The bundled font has one weight; `strong` draws it with a thin stroke.
        """
        stroke = size / 48 if strong else 0
        self._draw.text((x, y), text, color, font(size), anchor="lm", stroke_width=stroke)
        return x + font(size).getlength(text)

    def text_left_of(self, text: str, x: float, y: float, size: int, color: str = INK) -> None:
        """One line that ends at `x`."""
        self._draw.text((x, y), text, color, font(size), anchor="rm")

    def cropped(self, height: int) -> Image.Image:
        """The page down to `height`."""
        return self.image.crop((0, 0, self.image.width, height))


@lru_cache(maxsize=64)
def rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """(L) coverage of a box with round corners; only the corners are drawn larger and shrunk."""
    width, height = size
    radius = min(radius, width // 2, height // 2)
    mask = Image.new("L", size, 255)
    if radius <= 0:
        return mask
    side = radius * _OVERSAMPLING
    corner = Image.new("L", (side, side), 0)
    ImageDraw.Draw(corner).ellipse((0, 0, 2 * side - 1, 2 * side - 1), fill=255)
    corner = corner.resize((radius, radius), Image.Resampling.BOX)
    flipped = corner.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for piece, y in ((corner, 0), (None, height - radius)):
        left = piece or corner.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        right = flipped if piece else flipped.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        mask.paste(left, (0, y))
        mask.paste(right, (width - radius, y))
    return mask


def hatched(mask: Image.Image, gap: int = 9, stroke: int = 3) -> Image.Image:
    """(L) the part of a mask that lies under diagonal lines, `gap` pixels apart."""
    width, height = mask.size
    lines = Image.new("L", mask.size, 0)
    draw = ImageDraw.Draw(lines)
    for x in range(-height, width, gap):
        draw.line((x, height, x + height, 0), fill=255, width=stroke)
    return ImageChops.multiply(mask, lines)
