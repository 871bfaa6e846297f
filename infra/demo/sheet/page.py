"""The whole page: a heading, the albums, their rows."""

from collections.abc import Sequence

from PIL import Image

from infra.demo.sheet import canvas
from infra.demo.sheet.canvas import Canvas
from infra.demo.sheet.chips import LARGE, chip_lines, draw_chips
from infra.demo.sheet.lettering import drawable, fitted
from infra.demo.sheet.overlay import concept_colors
from infra.demo.sheet.rows import (
    GAP,
    PADDING,
    SheetAlbum,
    SheetPhoto,
    draw_row,
    rule_chips,
)

WIDTH = 1800
MARGIN = 56
_ROW_GAP = 22
_FIRST_HEIGHT = 3000
_COLUMNS = ("Before", "After", "What was found")


def draw_sheet(albums: Sequence[SheetAlbum], title: str = "Domain Palette Engine") -> Image.Image:
    """The contact sheet, RGB, 1800 pixels wide and as high as the photos ask for."""
    page = Canvas(WIDTH, _FIRST_HEIGHT)
    y = _draw_heading(page, title, albums)
    for album in albums:
        colors = concept_colors(_concepts(album))
        y = _draw_album_heading(page, album, y)
        for photo in album.photos:
            y = draw_row(page, album, photo, colors, y, MARGIN) + _ROW_GAP
    bottom = y + MARGIN - _ROW_GAP
    page.reach(bottom)
    return page.cropped(bottom)


def _draw_heading(page: Canvas, title: str, albums: Sequence[SheetAlbum]) -> int:
    photos = [photo for album in albums for photo in album.photos]
    page.text(title, MARGIN, MARGIN + 30, 46, strong=True)
    page.text(_subtitle(photos), MARGIN, MARGIN + 82, 22, canvas.MUTED)
    return MARGIN + 112


def _subtitle(photos: Sequence[SheetPhoto]) -> str:
    done = sum(photo.error is None for photo in photos)
    changed = sum(photo.protected_pixels_changed for photo in photos)
    engines = sorted({photo.engine for photo in photos if photo.engine})
    parts = [
        f"{done} of {len(photos)} photos done",
        f"{changed:,} protected pixels changed",
        f"engine: {', '.join(engines)}" if engines else "",
    ]
    return "   ·   ".join(part for part in parts if part)


def _draw_album_heading(page: Canvas, album: SheetAlbum, y: int) -> int:
    """The album's name, its rule in large swatches, what it protects, and the columns' names."""
    width = WIDTH - 2 * MARGIN
    y += 28
    lines = chip_lines(rule_chips(album, LARGE.swatch), LARGE, width)
    page.reach(y + 110 + len(lines) * LARGE.line)
    page.box((MARGIN, y - 12, width, 2), canvas.LINE, 0)
    page.text(fitted(drawable(album.title, "Album"), 32, width), MARGIN, y + 26, 32, strong=True)
    if album.protect:
        words = ", ".join(concept.replace("_", " ") for concept in album.protect)
        kept = fitted(f"protected: {drawable(words, 'see the table')}", 20, width * 0.6)
        page.text_left_of(kept, MARGIN + width, y + 26, 20, canvas.MUTED)
    y = draw_chips(page, lines, LARGE, MARGIN, y + 56, width)
    column = (width - 2 * PADDING - 2 * GAP) // 3
    for number, name in enumerate(_COLUMNS):
        x = MARGIN + PADDING + number * (column + GAP)
        page.text(name, x, y + 26, 20, canvas.MUTED)
    return y + 46


def _concepts(album: SheetAlbum) -> list[str]:
    """Every concept of the album once: what the rule changes, what it protects, what else came."""
    seen = [*album.concepts, *album.protect]
    for photo in album.photos:
        seen += [*photo.instances, *photo.masks]
    return list(dict.fromkeys(seen))
