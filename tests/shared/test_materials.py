"""Materials resolve by any spelling, and only the right one."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.css_colors import CSS_COLORS, KOREAN_COLORS
from shared.materials import MATERIALS, Material, UnknownMaterial, resolve_material

HEX = re.compile(r"#[0-9A-F]{6}")
SPELLINGS = [(m, n) for m in MATERIALS.values() for n in (m.id, m.name_en, m.name_ko)]


def test_the_catalogue_is_well_formed() -> None:
    assert len(MATERIALS) >= 48
    for key, material in MATERIALS.items():
        assert key == material.id
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", material.id)
        assert HEX.fullmatch(material.hex)
        assert re.search("[가-힣]", material.name_ko)
        assert material.name_en.strip()
        assert material.family.strip()
        assert material.texture != ""
    assert {m.family for m in MATERIALS.values()} >= {
        *("paint", "wood", "stone", "tile", "metal", "textile", "leather", "glass", "plastic")
    }


def test_no_two_materials_share_a_colour_or_a_name() -> None:
    for names in zip(*((m.hex, m.name_en, m.name_ko) for m in MATERIALS.values()), strict=True):
        assert len(set(names)) == len(names)


def test_woods_are_warm_and_whites_are_light() -> None:
    for material in MATERIALS.values():
        red, _, blue = material.rgb
        if material.family == "wood":
            assert red > blue, material.id
        if "white" in material.id and material.family == "paint":
            assert min(material.rgb) > 200, material.id


@pytest.mark.parametrize(("material", "name"), SPELLINGS, ids=[n for _, n in SPELLINGS])
def test_every_name_leads_to_its_material_however_it_is_written(
    material: Material, name: str
) -> None:
    for spelling in (
        name,
        name.upper(),
        f"  {name}\t",
        name.replace(" ", "_"),
        name.replace("_", "-"),
        name.replace("_", " ").title(),
        unicodedata.normalize("NFD", name),
    ):
        assert resolve_material(spelling) is material


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("오크", "oak_a"),
        ("오크 A", "oak_a"),
        ("Oak A", "oak_a"),
        ("oak", "oak_a"),
        ("오크 B", "oak_b"),
        ("offwhite", "offwhite_a"),
        ("오프화이트", "offwhite_a"),
        ("off-white b", "offwhite_b"),
        ("warm gray", "warm_grey"),
        ("#7fa8c9", "#7FA8C9"),
        ("7FA8C9", "#7FA8C9"),
        ("#abc", "#AABBCC"),
        ("fff", "#FFFFFF"),
        (" #0f0 ", "#00FF00"),
        ("\uff37\uff28\uff29\uff34\uff25", "#FFFFFF"),  # full-width WHITE
        ("\uff037FA8C9", "#7FA8C9"),  # full-width number sign
        ("white", "#FFFFFF"),
        ("Rebecca Purple", "#663399"),
        ("light-slate-gray", "#778899"),
        ("흰색", "#FFFFFF"),
        ("빨간 색", "#FF0000"),
        ("남색", "navy"),
    ],
)
def test_what_people_write(value: str, expected: str) -> None:
    assert resolve_material(value).id == expected


def test_every_css_colour_resolves_and_own_materials_win() -> None:
    assert len(CSS_COLORS) == 148
    own = set[str]()
    for name, hex_value in CSS_COLORS.items():
        material = resolve_material(name)
        if material.id in MATERIALS:
            own.add(name)
        else:
            assert (material.id, material.hex, material.texture) == (hex_value, hex_value, None)
    assert own >= {"navy", "black", "gold", "ivory"}
    assert not own & {"white", "red", "blue", "gray"}
    assert resolve_material("navy").hex == MATERIALS["navy"].hex != CSS_COLORS["navy"]


def test_css_colours_are_those_of_the_standard() -> None:
    # Spot values of the CSS Color 4 table: one of each block, and both spellings of grey.
    expected = {"tomato": "#FF6347", "peru": "#CD853F", "orchid": "#DA70D6", "linen": "#FAF0E6"}
    assert expected.items() <= CSS_COLORS.items()
    for name in [n for n in CSS_COLORS if "gray" in n]:
        assert CSS_COLORS[name] == CSS_COLORS[name.replace("gray", "grey")]
    assert all(HEX.fullmatch(v) for v in CSS_COLORS.values())


def test_every_korean_colour_word_is_that_colour() -> None:
    for word, name in KOREAN_COLORS.items():
        assert resolve_material(word) == resolve_material(name)


def test_rgb_reads_the_hex() -> None:
    assert resolve_material("#7FA8C9").rgb == (0x7F, 0xA8, 0xC9)


@pytest.mark.parametrize("value", ["#11223344", "11223344", "#1234", "#FFFFFF00"])
def test_an_alpha_channel_is_refused_by_name(value: str) -> None:
    with pytest.raises(UnknownMaterial, match="alpha channel") as caught:
        resolve_material(value)
    assert resolve_material(caught.value.suggestions[0]).hex == caught.value.suggestions[0]


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        ("wallnut", "walnut"),
        ("oka_a", "oak_a"),
        ("off_whit_b", "offwhite_b"),
        ("오그", "오크"),
        ("네이뷔", "네이비"),
        ("lavendar", "lavender"),
        ("tomatoe", "tomato"),
    ],
)
def test_a_misspelling_gets_the_nearest_names(value: str, nearest: str) -> None:
    with pytest.raises(UnknownMaterial) as caught:
        resolve_material(value)
    assert caught.value.value == value
    assert caught.value.suggestions[0] == nearest
    named = [resolve_material(name).id for name in caught.value.suggestions]
    assert 1 <= len(named) == len(set(named)) <= 5


@pytest.mark.parametrize(
    ("value", "offered"),
    [
        ("marble", {"marble_white", "Beige Marble", "Green Marble", "Black Marble"}),
        ("white tile", {"White Subway Tile"}),
        ("dark oak", {"oak_a", "oak_b", "smoked_oak"}),
        ("오프 화이트 D", {"오프화이트 A", "오프화이트 B", "오프화이트 C"}),
    ],
)
def test_names_that_share_a_word_are_offered(value: str, offered: set[str]) -> None:
    with pytest.raises(UnknownMaterial) as caught:
        resolve_material(value)
    assert offered <= set(caught.value.suggestions)


@pytest.mark.parametrize(
    "value", ["", "   ", "#", "#12", "#12345", "#GGGGGG", "_-_", "oak\x00", "㎜" * 90]
)
def test_nonsense_is_unknown(value: str) -> None:
    with pytest.raises(UnknownMaterial):
        resolve_material(value)


def test_a_long_or_unprintable_value_does_not_fill_the_message() -> None:
    with pytest.raises(UnknownMaterial) as caught:
        resolve_material("\ud800\n\x1b[31m" + "x" * 1_000_000)
    assert len(str(caught.value)) < 150
    assert str(caught.value).isprintable()


@given(st.one_of(st.text(max_size=120), st.from_regex(r"\A#?[0-9a-fA-F]{1,9}\Z")))
def test_any_text_resolves_to_something_stable_or_is_unknown(value: str) -> None:
    try:
        material = resolve_material(value)
    except UnknownMaterial as error:
        suggestions = error.suggestions
    else:
        assert HEX.fullmatch(material.hex)
        suggestions = (material.id,)
        assert resolve_material(material.id).hex == material.hex
    assert all(resolve_material(s) for s in suggestions)
    assert len(suggestions) <= 5


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_rgb_has_its_hex(rgb: tuple[int, int, int]) -> None:
    assert resolve_material("#{:02x}{:02x}{:02x}".format(*rgb)).rgb == rgb
