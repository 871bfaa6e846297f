"""One row of the sheet: a card with three pictures of a photo and what is to be said of each."""

from msgspec import Struct
from PIL import Image

from infra.client import RuleAction
from infra.demo.sheet import canvas
from infra.demo.sheet.canvas import Canvas
from infra.demo.sheet.chips import SMALL, Chip, chip_lines, draw_chips
from infra.demo.sheet.lettering import drawable, fitted, wrapped
from infra.demo.sheet.overlay import overlaid
from infra.demo.sheet.swatch import described, edge_color, swatch

PADDING = 18
GAP = 16
TALLEST = 600
LOWEST = 200
_NAME_SIZE = 21
_NOTE_SIZE = 17
_CAPTION_GAP = 12


class SheetPhoto(Struct, frozen=True, eq=False, kw_only=True):
    """One photo and what became of it; `number` is its place in the album, from 0.

    `before` and `after` are RGB pictures of any size, None where there is none to show; `masks`
    are L pictures of the photo's proportions, by concept; `size` is the photo's (width, height).
    """

    number: int
    name: str
    before: Image.Image | None = None
    after: Image.Image | None = None
    masks: dict[str, Image.Image] = {}
    size: tuple[int, int] | None = None
    instances: dict[str, int] = {}
    engine: str = ""
    seconds: float | None = None
    protected_pixels: int = 0
    protected_pixels_changed: int = 0
    error: str | None = None


class SheetAlbum(Struct, frozen=True, eq=False):
    """Photos that went through one rule together."""

    title: str
    concepts: dict[str, RuleAction]
    protect: list[str]
    photos: list[SheetPhoto]


def draw_row(
    page: Canvas, album: SheetAlbum, photo: SheetPhoto, colors: dict[str, str], y: int, margin: int
) -> int:
    """Draw the card with its top at `y`, and give back where it ends."""
    outer = page.image.width - 2 * margin
    column = (outer - 2 * PADDING - 2 * GAP) // 3
    places = [margin + PADDING + n * (column + GAP) for n in range(3)]
    cell = _cell(photo, column)
    captions = y + PADDING + cell[1] + _CAPTION_GAP
    rule = chip_lines(rule_chips(album, SMALL.swatch, photo), SMALL, column)
    legend = chip_lines(legend_chips(album, photo, colors), SMALL, column)
    lines = max(2, len(rule) + 2, len(legend))
    bottom = captions + lines * SMALL.line + PADDING - 6
    page.reach(bottom)
    page.box((margin, y, outer, bottom - y), canvas.CARD, 18, canvas.LINE)
    _draw_pictures(page, album, photo, colors, places, y + PADDING, cell)
    _draw_name(page, photo, places[0], captions, column)
    below = draw_chips(page, rule, SMALL, places[1], captions, column)
    _draw_outcome(page, photo, places[1], below, column)
    draw_chips(page, legend, SMALL, places[2], captions, column)
    return bottom


def _cell(photo: SheetPhoto, column: int) -> tuple[int, int]:
    """(width, height) of each of the three pictures' places, in pixels."""
    if photo.before is None:
        return column, LOWEST
    size = photo.before.size
    return column, max(LOWEST, min(TALLEST, round(column * size[1] / size[0])))


def _draw_pictures(
    page: Canvas,
    album: SheetAlbum,
    photo: SheetPhoto,
    colors: dict[str, str],
    places: list[int],
    y: int,
    cell: tuple[int, int],
) -> None:
    before = _scaled(photo.before, cell)
    masked = None
    if before is not None and photo.masks:
        masked = overlaid(before, photo.masks, colors, frozenset(album.protect))
    _draw_cell(page, before, "This file could not be shown", (places[0], y, *cell))
    if photo.error is not None:
        _draw_error(page, photo.error, (places[1], y, *cell))
    else:
        _draw_cell(page, _scaled(photo.after, cell), "No result", (places[1], y, *cell))
    _draw_cell(page, masked, "No masks", (places[2], y, *cell))


def _scaled(image: Image.Image | None, cell: tuple[int, int]) -> Image.Image | None:
    """The whole picture, as large as fits into the cell."""
    if image is None:
        return None
    factor = min(cell[0] / image.width, cell[1] / image.height)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _draw_cell(page: Canvas, image: Image.Image | None, instead: str, box: canvas.Box) -> None:
    x, y, width, height = box
    if image is None or image.size != (width, height):
        page.box(box, canvas.MAT, 10)
    if image is None:
        page.text(instead, x + 24, y + height / 2, _NOTE_SIZE, canvas.MUTED)
        return
    left, top = x + (width - image.width) // 2, y + (height - image.height) // 2
    page.picture(image, left, top, 10)


def _draw_error(page: Canvas, error: str, box: canvas.Box) -> None:
    x, y, width, height = box
    page.box(box, canvas.ALARM_PAPER, 10)
    page.text("Failed", x + 24, y + 36, 26, canvas.ALARM, strong=True)
    words = drawable(error, "The error's text cannot be drawn here; the table has it.")
    fitting = max(1, (height - 80) // 26)
    for number, line in enumerate(wrapped(words, _NOTE_SIZE, width - 48, fitting)):
        page.text(line, x + 24, y + 78 + number * 26, _NOTE_SIZE, canvas.INK)


def _draw_name(page: Canvas, photo: SheetPhoto, x: int, y: int, column: int) -> None:
    name = f"{photo.number:02d}  {drawable(photo.name, 'photo')}"
    page.text(fitted(name, _NAME_SIZE, column), x, y + 12, _NAME_SIZE, strong=True)
    if photo.size is not None:
        width, height = photo.size
        page.text(f"{width} x {height} pixels", x, y + 40, _NOTE_SIZE, canvas.MUTED)


def _draw_outcome(page: Canvas, photo: SheetPhoto, x: int, y: int, column: int) -> None:
    if photo.error is not None:
        return
    seconds = "" if photo.seconds is None else f"{photo.seconds:.1f} s"
    work = ", ".join(part for part in (photo.engine and f"{photo.engine} engine", seconds) if part)
    changed = photo.protected_pixels_changed
    kept = f"{changed:,} of {photo.protected_pixels:,} protected pixels changed"
    if not photo.protected_pixels:
        kept = "nothing to protect was found"
    color = canvas.ALARM if changed else canvas.MUTED
    page.text(fitted(work, _NOTE_SIZE, column), x, y + 13, _NOTE_SIZE, canvas.MUTED)
    page.text(fitted(kept, _NOTE_SIZE, column), x, y + 39, _NOTE_SIZE, color)


def rule_chips(
    album: SheetAlbum, size: tuple[int, int], photo: SheetPhoto | None = None
) -> list[Chip]:
    """The rule in swatches; for a photo only what applies: concepts that were found in it."""
    return [
        Chip(swatch(rule, size), f"{_label(concept)}: {described(rule)}", edge=edge_color(rule))
        for concept, rule in album.concepts.items()
        if photo is None or photo.instances.get(concept, 0)
    ]


def legend_chips(album: SheetAlbum, photo: SheetPhoto, colors: dict[str, str]) -> list[Chip]:
    """Which colour is which concept, how many there are, and what was protected or not found."""
    chips: list[Chip] = []
    for concept, color in colors.items():
        count = photo.instances.get(concept)
        if count is None and concept not in photo.masks:
            continue
        found = bool(count) or (count is None and concept in photo.masks)
        words = _label(concept) if found else f"{_label(concept)}: not found"
        if count is not None and count > 1:
            words += f" x {count}"
        protected = concept in album.protect
        chips.append(
            Chip(
                legend_swatch(color, hatch=protected) if found else _blank(),
                f"{words}, protected" if protected and found else words,
                canvas.INK if found else canvas.MUTED,
                color if found else canvas.LINE,
            )
        )
    return chips


def legend_swatch(color: str, *, hatch: bool) -> Image.Image:
    """RGB, of the small chip's size: a colour of the overlay, hatched for what is protected."""
    image = Image.new("RGB", SMALL.swatch, color)
    if hatch:
        everything = Image.new("L", SMALL.swatch, 255)
        image.paste("#FFFFFF", (0, 0), canvas.hatched(everything, gap=7, stroke=2))
    return image


def _blank() -> Image.Image:
    return Image.new("RGB", SMALL.swatch, canvas.CARD)


def _label(concept: str) -> str:
    return drawable(concept.replace("_", " "), "concept")
