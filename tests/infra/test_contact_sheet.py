"""The contact sheet: what it shows, that it takes any input, that it stays small."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image, ImageDraw

from infra.client import RuleAction
from infra.demo.sheet import SheetAlbum, SheetPhoto, draw_sheet, save_sheet
from infra.demo.sheet.canvas import ALARM_PAPER, PAPER, rounded
from infra.demo.sheet.lettering import drawable, fitted, font, wrapped
from infra.demo.sheet.overlay import COLORS, concept_colors, overlaid
from infra.demo.sheet.page import MARGIN, WIDTH
from infra.demo.sheet.swatch import described, swatch
from shared.materials import MATERIALS

RED, BLUE = (200, 30, 30), (30, 30, 200)
SAGE = RuleAction("recolor", "sage")


def rectangle(size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    return mask


def photo(size: tuple[int, int] = (400, 300)) -> SheetPhoto:
    return SheetPhoto(
        number=0,
        name="room.jpg",
        before=Image.new("RGB", size, RED),
        after=Image.new("RGB", size, BLUE),
        masks={"Wall": rectangle(size, (0, 0, size[0] / 2, size[1]))},
        size=size,
        instances={"Wall": 1, "Grout": 0},
        engine="classical",
        seconds=1.5,
    )


def album(*photos: SheetPhoto) -> SheetAlbum:
    return SheetAlbum("Interior album", {"Wall": SAGE}, ["Grout"], list(photos))


def count(image: Image.Image, color: tuple[int, int, int] | str) -> int:
    """Pixels of exactly that colour."""
    wanted = Image.new("RGB", (1, 1), color).getpixel((0, 0))
    return int((np.asarray(image) == np.asarray(wanted)).all(axis=2).sum())


def test_a_row_shows_before_and_after_equally_large() -> None:
    sheet = draw_sheet([album(photo())])
    assert sheet.width == WIDTH
    assert count(sheet, RED) == count(sheet, BLUE) > 100_000


def test_each_photo_has_its_own_row() -> None:
    one, two = (
        draw_sheet([album(photo())]),
        draw_sheet([album(photo(), replace(photo(), number=1))]),
    )
    assert count(two, BLUE) == 2 * count(one, BLUE)


def test_the_rule_shows_its_colour_large_above_and_small_beside() -> None:
    with_rule = count(draw_sheet([album(photo())]), MATERIALS["sage"].hex)
    assert with_rule > 52 * 32 * 0.9 + 16 * 16 * 0.9
    assert count(draw_sheet([replace(album(photo()), concepts={})]), MATERIALS["sage"].hex) == 0


def test_a_failed_photo_says_so_in_place_of_the_result() -> None:
    failed = replace(photo(), after=None, masks={}, error="Not a picture: 그림이 아님")
    sheet = draw_sheet([album(failed)])
    assert count(sheet, ALARM_PAPER) > 10_000
    assert count(sheet, BLUE) == 0


def test_an_unreadable_file_has_a_row_too() -> None:
    nothing = SheetPhoto(number=0, name="notes.txt", error="No.")
    assert count(draw_sheet([album(nothing)]), ALARM_PAPER) > 10_000


def test_the_page_grows_with_what_it_has_to_say() -> None:
    rules = {f"Concept number {number}": SAGE for number in range(32)}
    wordy = replace(photo(), instances=dict.fromkeys(rules, 1), masks={})
    sheet = draw_sheet([replace(album(wordy), concepts=rules, protect=[])] * 6)
    assert sheet.height > 6 * 1_000
    assert count(sheet, BLUE) == 6 * count(draw_sheet([album(photo())]), BLUE)
    assert count(sheet.crop((0, sheet.height - MARGIN, WIDTH, sheet.height)), PAPER) == (
        MARGIN * WIDTH
    )


def test_no_albums_make_an_empty_page() -> None:
    assert draw_sheet([]).width == WIDTH


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 1500), st.integers(1, 1500), st.text(max_size=40))
def test_any_proportions_and_any_name_can_be_drawn(width: int, height: int, text: str) -> None:
    odd = replace(photo((width, height)), name=text, error=text or None)
    page = draw_sheet([replace(album(odd), title=text, concepts={text: RuleAction(text, text)})])
    assert page.width == WIDTH


def test_an_overlay_colours_the_mask_and_leaves_the_rest_grey() -> None:
    base = Image.new("RGB", (100, 80), RED)
    mask = rectangle(base.size, (0, 0, 49, 79))
    result = np.asarray(overlaid(base, {"Wall": mask}, {"Wall": "#0000FF"}, frozenset()), int)
    inside, outside = result[:, :47], result[:, 53:]
    assert (inside[..., 2] - inside[..., 0] > 80).all()
    assert (np.ptp(outside, axis=2) == 0).all()


def test_masks_of_another_size_are_fitted() -> None:
    base = Image.new("RGB", (100, 80), RED)
    small = rectangle((25, 20), (0, 0, 11, 19))
    result = np.asarray(overlaid(base, {"Wall": small}, {"Wall": "#0000FF"}, frozenset()), int)
    tinted = np.ptp(result, axis=2) > 40
    assert tinted[:, :46].all()
    assert not tinted[:, 52:].any()


def test_what_is_protected_is_hatched_and_lies_on_top() -> None:
    base = Image.new("RGB", (100, 80), (90, 90, 90))
    full = rectangle(base.size, (0, 0, 99, 79))
    masks, colors = {"Grout": full, "Wall": full}, {"Grout": "#00FF00", "Wall": "#0000FF"}
    plain = np.asarray(overlaid(base, masks, colors, frozenset()), int)
    hatched = np.asarray(overlaid(base, masks, colors, frozenset({"Grout"})), int)
    assert np.unique(plain.reshape(-1, 3), axis=0).shape[0] == 1
    bright = (hatched.min(axis=2) > 180).mean()
    assert 0.2 < bright < 0.6
    assert (hatched[..., 1] >= hatched[..., 2]).all()


def test_concepts_keep_their_colours_and_more_than_twelve_are_no_problem() -> None:
    colors = concept_colors([f"c{number}" for number in range(30)])
    assert len(set(list(colors.values())[: len(COLORS)])) == len(COLORS)
    assert colors["c0"] == colors["c12"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (SAGE, "Sage"),
        (RuleAction("recolor", "오크"), "Oak A"),
        (RuleAction("recolor", "#7fa8c9"), "#7FA8C9"),
        (RuleAction("texture", "boucle"), "texture Boucle"),
        (RuleAction("tone", "warm"), "tone warm"),
        (RuleAction("recolor", ""), "recolor, by default"),
        (RuleAction("remove"), "remove"),
        (RuleAction("recolor", "모르는 색"), "recolor"),
    ],
)
def test_rules_in_words_that_can_be_drawn(rule: RuleAction, words: str) -> None:
    assert described(rule) == words


def test_swatches_show_the_colour_or_where_a_tone_leads() -> None:
    assert swatch(SAGE, (8, 8)).getpixel((4, 4)) == MATERIALS["sage"].rgb
    warm = np.asarray(swatch(RuleAction("tone", "warm"), (32, 8)), int)
    cool = np.asarray(swatch(RuleAction("tone", "warmth=-0.2"), (32, 8)), int)
    assert warm[4, -1, 0] - warm[4, -1, 2] > 50 > warm[4, 0, 0] - warm[4, 0, 2]
    assert cool[4, -1, 2] - cool[4, -1, 0] > 50


@given(st.text(max_size=30))
def test_any_text_becomes_drawable(text: str) -> None:
    shown = drawable(text, "instead")
    assert shown == "instead" or shown.isprintable()


def test_letters_that_the_font_lacks_are_replaced() -> None:
    assert drawable("Bouclé", "x") == "Boucle"
    assert drawable("거실.jpg", "photo") == "photo"
    assert drawable("a b_c-1.jpg", "x") == "a b_c-1.jpg"


@given(st.text(st.characters(codec="ascii"), max_size=80), st.integers(30, 400))
def test_text_is_never_longer_than_its_place(text: str, width: int) -> None:
    face = font(17)
    assert face.getlength(fitted(text, 17, width)) <= width
    lines = wrapped(text, 17, width, 3)
    assert len(lines) <= 3
    assert all(face.getlength(line) <= width for line in lines)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 40))
def test_round_corners_of_any_size(width: int, height: int, radius: int) -> None:
    mask = np.asarray(rounded((width, height), radius))
    assert mask.shape == (height, width)
    assert (mask == mask[::-1]).all()
    assert (mask == mask[:, ::-1]).all()
    assert mask[height // 2, width // 2] > 0


def noise(side: int) -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels)


def test_a_small_sheet_is_saved_without_loss(tmp_path: Path) -> None:
    sheet = noise(100)
    size = save_sheet(sheet, tmp_path / "sheet.png")
    assert size == (tmp_path / "sheet.png").stat().st_size
    with Image.open(tmp_path / "sheet.png") as saved:
        assert (np.asarray(saved) == np.asarray(sheet)).all()


def test_a_noisy_sheet_loses_its_last_bits_first(tmp_path: Path) -> None:
    sheet = noise(200)
    lossless = BytesIO()
    sheet.save(lossless, "PNG")
    limit = len(lossless.getvalue()) * 8 // 10
    assert save_sheet(sheet, tmp_path / "sheet.png", limit) <= limit
    with Image.open(tmp_path / "sheet.png") as saved:
        assert saved.size == sheet.size
        assert np.abs(np.asarray(saved, int) - np.asarray(sheet, int)).max() <= 3


def test_a_far_too_large_sheet_is_shrunk(tmp_path: Path) -> None:
    assert save_sheet(noise(200), tmp_path / "sheet.png", 20_000) <= 20_000
    with Image.open(tmp_path / "sheet.png") as saved:
        assert saved.width < 200
