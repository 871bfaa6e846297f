"""The catalogue: presets, their concepts and templates, materials."""

import re

import pytest

from shared.materials import MATERIALS
from tests.edge_api.phone import Phone

INTERIOR = [
    "Wall", "Floor", "Ceiling", "Window", "Door", "Frame_Molding",
    "Tile", "Grout", "Cabinet", "Countertop", "Light", "Handle",
]  # fmt: skip
SELLER = ["Body", "Label_Text", "Logo", "Gloss", "Parts", "Accessories"]
PRESETS = {
    "interior": (
        "건축/인테리어",
        INTERIOR,
        ["Grout", "Frame_Molding", "Glass_highlight"],
        ["시안3안팩", "전후비교", "고객공유카드"],
    ),
    "seller": (
        "쇼핑/셀러",
        SELLER,
        ["Label_Text", "Logo", "Gloss"],
        ["상품팩", "옵션보드", "썸네일8종"],
    ),
}


def test_the_presets_are_a_bare_list(phone: Phone) -> None:
    presets = phone.data("GET", "/presets")
    assert [(p["id"], p["name"], p["concept_count"]) for p in presets] == [
        ("interior", "건축/인테리어", 12),
        ("seller", "쇼핑/셀러", 6),
    ]


@pytest.mark.parametrize("preset_id", PRESETS)
def test_a_preset_in_full(phone: Phone, preset_id: str) -> None:
    name, concepts, protected, templates = PRESETS[preset_id]
    preset = phone.data("GET", f"/presets/{preset_id}")
    assert (preset["id"], preset["name"]) == (preset_id, name)
    assert preset["concept_count"] == len(concepts)
    assert preset["concepts"] == concepts
    assert preset["protect_defaults"] == protected
    assert [template["id"] for template in preset["output_templates"]] == templates


@pytest.mark.parametrize("preset_id", PRESETS)
def test_templates_have_what_the_app_casts_and_an_ascii_alias(phone: Phone, preset_id: str) -> None:
    for template in phone.data("GET", f"/presets/{preset_id}")["output_templates"]:
        for field in ("id", "name", "description"):
            assert isinstance(template[field], str)
            assert template[field]
        assert re.fullmatch(r"[a-z0-9_]+", template["alias"])


@pytest.mark.parametrize("preset_id", PRESETS)
def test_every_concept_has_labels_in_both_languages_and_defaults(
    phone: Phone, preset_id: str
) -> None:
    preset = phone.data("GET", f"/presets/{preset_id}")
    details = preset["concept_details"]
    assert [concept["id"] for concept in details] == preset["concepts"]
    for concept in details:
        assert concept["name_en"].isascii()
        assert not concept["name_ko"].isascii()
        assert concept["kind"] in {"surface", "instances"}
        assert set(concept["defaults"]) == {"recolor", "tone", "texture"}


@pytest.mark.parametrize("preset_id", ["nope", "Interior", "interior%20", "%00", "인테리어"])
def test_an_unknown_preset_names_the_known_ones(phone: Phone, preset_id: str) -> None:
    response = phone.call("GET", f"/presets/{preset_id}")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (404, "INVALID_PRESET")
    assert error["details"]["known"] == ["interior", "seller"]


def test_materials_are_listed_with_their_colours(phone: Phone) -> None:
    materials = phone.data("GET", "/materials")
    assert [material["id"] for material in materials] == list(MATERIALS)
    assert len(materials) >= 40
    for material in materials:
        assert re.fullmatch(r"#[0-9A-F]{6}", material["hex"])
        assert isinstance(material.get("texture", ""), str)
    oak = next(material for material in materials if material["id"] == "oak_a")
    assert (oak["name_en"], oak["name_ko"].startswith("오크")) == ("Oak A", True)
