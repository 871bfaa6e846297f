"""The presets are those of the contract, and concept names lead where they should."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.actions import Action, canonical_value
from shared.presets import (
    PRESETS,
    Concept,
    InvalidConcept,
    Kind,
    Preset,
    UnknownPreset,
    UnknownTemplate,
    find_preset,
)

INTERIOR = PRESETS["interior"]
KNOWN = [(p, c) for p in PRESETS.values() for c in (*p.concepts, *p.protect_only)]
KNOWN_IDS = [f"{p.id}-{c.id}" for p, c in KNOWN]


def test_the_presets_of_the_contract() -> None:
    table = {
        p.id: (p.name, " ".join(c.id for c in p.concepts), " ".join(p.protect_defaults))
        for p in PRESETS.values()
    }
    assert table == {
        "interior": (
            "건축/인테리어",
            "Wall Floor Ceiling Window Door Frame_Molding Tile Grout Cabinet Countertop "
            "Light Handle",
            "Grout Frame_Molding Glass_highlight",
        ),
        "seller": (
            "쇼핑/셀러",
            "Body Label_Text Logo Gloss Parts Accessories",
            "Label_Text Logo Gloss",
        ),
    }


def test_the_output_templates_of_the_contract() -> None:
    templates = {p.id: [t.id for t in p.output_templates] for p in PRESETS.values()}
    assert templates == {
        "interior": ["시안3안팩", "전후비교", "고객공유카드"],
        "seller": ["상품팩", "옵션보드", "썸네일8종"],
    }
    for preset in PRESETS.values():
        for template in preset.output_templates:
            assert re.fullmatch(r"[a-z0-9_]+", template.alias)
            assert all((template.name, template.description, template.name_en))
            assert template.description_en.isascii()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_protect_defaults_are_known_and_labels_are_unique(preset: Preset) -> None:
    known = (*preset.concepts, *preset.protect_only)
    assert all(preset.knows(name) for name in preset.protect_defaults)
    assert set(preset.concept_ids) == {c.id for c in known}
    for labels in zip(*((c.id, c.name_en, c.name_ko) for c in known), strict=True):
        assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(("preset", "concept"), KNOWN, ids=KNOWN_IDS)
def test_every_concept_has_prompts_and_a_canonical_default_for_each_action(
    preset: Preset, concept: Concept
) -> None:
    assert 3 <= len(concept.prompts) <= 8
    assert len(set(concept.prompts)) == len(concept.prompts)
    for prompt in concept.prompts:  # simple noun phrases, no lists, no positions
        assert re.fullmatch(r"[a-z]+( [a-z]+){0,2}", prompt)
    assert 0.3 <= concept.threshold <= 0.5
    assert re.search("[가-힣]", concept.name_ko)
    assert set(concept.defaults) == {"recolor", "tone", "texture"}
    for action, value in concept.defaults.items():
        assert canonical_value(Action(action), value) == value
    assert preset.knows(concept.id)


@pytest.mark.parametrize(("preset", "concept"), KNOWN, ids=KNOWN_IDS)
def test_a_concept_is_found_by_id_and_labels_however_written(
    preset: Preset, concept: Concept
) -> None:
    for name in (concept.id, concept.name_en, concept.name_ko):
        for spelling in (
            name,
            name.lower(),
            f" {name.upper()} ",
            name.replace("_", " "),
            name.replace("_", "-"),
            unicodedata.normalize("NFD", name),
        ):
            assert preset.concept(spelling) is concept
            assert preset.knows(spelling)


def test_surfaces_are_surfaces() -> None:
    kinds = {c.id: c.kind for _, c in KNOWN}
    assert {kinds[n] for n in ("Wall", "Floor", "Ceiling", "Body")} == {Kind.SURFACE}
    assert {kinds[n] for n in ("Handle", "Logo", "Light")} == {Kind.INSTANCES}


def test_another_noun_phrase_is_open_vocabulary() -> None:
    sofa = INTERIOR.concept("  Red_velvet  sofa ")
    assert (sofa.id, sofa.prompts, sofa.kind) == (
        "Red_velvet_sofa",
        ("Red velvet sofa",),
        Kind.INSTANCES,
    )
    assert not sofa.defaults
    assert not INTERIOR.knows("Red_velvet_sofa")
    assert INTERIOR.concept("소파").prompts == ("소파",)
    assert PRESETS["seller"].concept("Wall").prompts == ("Wall",)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a name"),
        (" _ ", "needs a name"),
        ("x" * 65, "64 characters"),
        ("x" * 1_000_000, "64 characters"),
        ("\ufdfa" * 4, "64 characters"),  # one character that NFKC makes 18
        ("so\x00fa", "do not print"),
        ("so\u202efa", "do not print"),
        ("so\ud800fa", "do not print"),
        ("!?", "no letter or digit"),
        ("🛋", "no letter or digit"),
    ],
)
def test_what_cannot_be_a_noun_phrase_is_refused(name: str, reason: str) -> None:
    with pytest.raises(InvalidConcept, match=reason):
        INTERIOR.concept(name)
    assert not INTERIOR.knows(name)


def test_64_characters_are_allowed() -> None:
    assert INTERIOR.concept("x" * 64).id == "x" * 64


@given(st.text(max_size=80), st.sampled_from(list(PRESETS.values())))
def test_reading_a_concept_again_changes_nothing(name: str, preset: Preset) -> None:
    try:
        concept = preset.concept(name)
    except InvalidConcept:
        return
    assert preset.concept(concept.id) == concept
    assert preset.knows(name) == preset.knows(concept.id)
    assert concept.prompts
    assert all(0 < len(p) <= 64 and p == p.strip() for p in concept.prompts)


def test_a_template_is_found_by_id_and_alias() -> None:
    before_after = INTERIOR.template("전후비교")
    assert INTERIOR.template("before_after") is before_after
    assert INTERIOR.template("Before-After") is before_after
    assert INTERIOR.template(unicodedata.normalize("NFD", "전후비교")) is before_after


def test_an_unknown_template_names_the_nearest() -> None:
    with pytest.raises(UnknownTemplate) as caught:
        INTERIOR.template("befor_after")
    assert caught.value.suggestions == ("before_after",)
    with pytest.raises(UnknownTemplate) as caught:
        INTERIOR.template("썸네일8종")  # of the other preset
    assert set(caught.value.suggestions) <= {
        name for t in INTERIOR.output_templates for name in (t.id, t.alias)
    }


def test_presets_are_found_by_their_exact_id() -> None:
    assert find_preset("seller") is PRESETS["seller"]
    for wrong in ("sellers", "", "Interior", "x" * 10_000):
        with pytest.raises(UnknownPreset) as caught:
            find_preset(wrong)
        assert set(caught.value.suggestions) <= set(PRESETS)
        assert caught.value.suggestions
