"""Rules as the app sends them, checked and made into what a job runs with."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.materials import MATERIALS
from shared.presets import PRESETS, Preset
from shared.rules import (
    TONES,
    Action,
    ConceptRule,
    InvalidRules,
    Problem,
    Recolor,
    Remove,
    RequestedRule,
    ResolvedRules,
    Texture,
    Tone,
    parse_rule,
    resolve_rules,
    validate_rules,
)

INTERIOR = PRESETS["interior"]
SELLER = PRESETS["seller"]


def wishes(**concepts: str) -> dict[str, RequestedRule]:
    """`Wall="recolor:navy"` as a request."""
    parts = {name: text.partition(":") for name, text in concepts.items()}
    return {name: RequestedRule(action, value) for name, (action, _, value) in parts.items()}


def codes(resolved: ResolvedRules) -> dict[str | None, list[str]]:
    found: dict[str | None, list[str]] = {}
    for warning in resolved.warnings:
        found.setdefault(warning.concept, []).append(warning.code)
    return found


def problems(
    preset: Preset, concepts: Mapping[str, RequestedRule], protect: list[str] | None = None
) -> dict[str, Problem]:
    with pytest.raises(InvalidRules) as caught:
        resolve_rules(preset, concepts, protect)
    assert all(p.path in str(caught.value) for p in caught.value.problems)
    return {p.path: p for p in caught.value.problems}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
@pytest.mark.parametrize("value", ["", None, "  "])
def test_quick_apply_takes_every_default(preset: Preset, value: str | None) -> None:
    everything = {c.id: RequestedRule("recolor", value) for c in preset.concepts}
    resolved = resolve_rules(preset, everything, [])
    kept = list(preset.protect_defaults)
    assert resolved.protect == kept
    assert resolved.concepts == {
        c.id: ConceptRule(Action.RECOLOR, c.defaults["recolor"])
        for c in preset.concepts
        if c.id not in kept
    }
    for concept in preset.concepts:
        expected = "PROTECTED_CONCEPT" if concept.id in kept else "DEFAULT_VALUE"
        assert codes(resolved)[concept.id] == [expected]
    assert codes(resolved)[None] == ["PROTECT_DEFAULTS"]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
@pytest.mark.parametrize("action", ["recolor", "tone", "texture", "remove"])
def test_every_action_works_without_a_value_on_every_preset_concept(
    preset: Preset, action: str
) -> None:
    everything = {name: RequestedRule(action) for name in preset.concept_ids}
    resolved = resolve_rules(preset, everything, None, protect_defaults=False)
    assert list(resolved.concepts) == preset.concept_ids
    for rule in resolved.concepts.values():
        parse_rule(rule)


def test_names_actions_and_values_become_canonical() -> None:
    asked = wishes(벽="Recolor:오크", FLOOR="recolor:#7fa8c9", ceiling="tone: Warm ") | {
        "frame-molding": RequestedRule("tone", "warmth=0.4, brightness=-0.10"),
        "Glass Highlight": RequestedRule("RECOLOR", "white"),
    }
    resolved = resolve_rules(INTERIOR, asked, None, protect_defaults=False)
    assert resolved == ResolvedRules(
        {
            "Wall": ConceptRule(Action.RECOLOR, "oak_a"),
            "Floor": ConceptRule(Action.RECOLOR, "#7FA8C9"),
            "Ceiling": ConceptRule(Action.TONE, "warm"),
            "Frame_Molding": ConceptRule(Action.TONE, "brightness=-0.1,warmth=0.4"),
            "Glass_highlight": ConceptRule(Action.RECOLOR, "#FFFFFF"),
        },
        [],
        [],
    )


def test_protect_named_replaces_the_defaults() -> None:
    resolved = resolve_rules(INTERIOR, wishes(Wall="recolor:navy"), ["창문", "window", "handle"])
    assert resolved.protect == ["Window", "Handle"]
    assert resolved.warnings == []


def test_protect_defaults_can_be_turned_off() -> None:
    grout = wishes(Grout="recolor:charcoal")
    resolved = resolve_rules(INTERIOR, grout, [], protect_defaults=False)
    assert resolved.concepts == {"Grout": ConceptRule(Action.RECOLOR, "charcoal")}
    assert (resolved.protect, resolved.warnings) == ([], [])


def test_protect_wins_over_a_rule_for_the_same_concept() -> None:
    asked = wishes(Wall="recolor:navy", Floor="recolor:oak_a")
    resolved = resolve_rules(INTERIOR, asked, ["wall"])
    assert list(resolved.concepts) == ["Floor"]
    assert resolved.protect == ["Wall"]
    assert codes(resolved) == {"Wall": ["PROTECTED_CONCEPT"]}


def test_protect_wins_for_open_vocabulary_too() -> None:
    asked = wishes(Sofa="recolor:", Wall="recolor:navy")
    resolved = resolve_rules(INTERIOR, asked, ["sofa"])
    assert resolved.protect == ["sofa"]
    assert list(resolved.concepts) == ["Wall"]


def test_all_protected_is_a_warning_never_an_error() -> None:
    resolved = resolve_rules(SELLER, wishes(Logo="recolor:", Gloss="remove:"), None)
    assert resolved.concepts == {}
    assert codes(resolved)[None] == ["PROTECT_DEFAULTS", "NOTHING_TO_DO"]


def test_texture_takes_a_material_and_remove_nothing() -> None:
    asked = wishes(Floor="texture:Herringbone Oak", Light="remove:please")
    resolved = resolve_rules(INTERIOR, asked, ["Window"])
    assert resolved.concepts == {
        "Floor": ConceptRule(Action.TEXTURE, "herringbone_oak"),
        "Light": ConceptRule(Action.REMOVE, ""),
    }
    assert codes(resolved) == {"Light": ["VALUE_IGNORED"]}


def test_open_vocabulary_is_allowed_with_a_value_and_warned_about() -> None:
    resolved = resolve_rules(INTERIOR, {"red sofa": RequestedRule("recolor", "sage")}, ["Rug"])
    assert resolved.concepts == {"red_sofa": ConceptRule(Action.RECOLOR, "sage")}
    assert codes(resolved) == {"red_sofa": ["OPEN_VOCABULARY"], "Rug": ["OPEN_VOCABULARY"]}


def test_open_vocabulary_close_to_a_known_concept_asks_back() -> None:
    resolved = resolve_rules(INTERIOR, wishes(Cieling="recolor:sage"), ["Wall"])
    assert "Did you mean Ceiling?" in resolved.warnings[0].message


@pytest.mark.parametrize("action", ["recolor", "tone", "texture"])
def test_open_vocabulary_has_no_default(action: str) -> None:
    found = problems(INTERIOR, wishes(Sofa=action))
    assert set(found) == {"concepts.Sofa.value"}


def test_every_problem_is_reported_at_once() -> None:
    asked = wishes(
        Wall="recolour:navy",
        Floor="recolor:okk_a",
        Ceiling="tone:wram",
        Door="texture:navy",
        Window="recolor:#11223344",
        Light="tone:warmth=2",
    ) | {"\x00": RequestedRule("paint", ""), "floor ": RequestedRule("tone", "warm")}
    found = problems(INTERIOR, asked, ["Window", "", "x" * 65])
    assert set(found) == {
        "concepts.Wall.action",
        "concepts.Floor.value",
        "concepts.Ceiling.value",
        "concepts.Door.value",
        "concepts.Window.value",
        "concepts.Light.value",
        "concepts.\N{REPLACEMENT CHARACTER}",
        "concepts.\N{REPLACEMENT CHARACTER}.action",
        "protect[1]",
        "protect[2]",
    }
    assert found["concepts.Wall.action"].suggestions == ("recolor",)
    assert "oak_a" in found["concepts.Floor.value"].suggestions
    assert "warm" in found["concepts.Ceiling.value"].suggestions
    textured = found["concepts.Door.value"].suggestions
    assert textured
    assert all(MATERIALS[name].texture for name in textured)
    assert "alpha" in found["concepts.Window.value"].message


def test_two_names_for_one_concept_are_a_problem() -> None:
    found = problems(INTERIOR, wishes(Wall="recolor:navy", 벽="recolor:sage"))
    assert "concepts.Wall" in found["concepts.벽"].message
    assert "concepts.big_sofa" in problems(
        INTERIOR, {"Big Sofa": RequestedRule("tone", "warm"), "big_sofa": RequestedRule("remove")}
    )


def test_nothing_and_too_much_are_problems() -> None:
    assert set(problems(INTERIOR, {})) == {"concepts"}
    many = {f"thing {i}": RequestedRule("tone", "warm") for i in range(33)}
    assert set(problems(INTERIOR, many, list(many))) == {"concepts", "protect"}
    most = dict(list(many.items())[:32])
    assert len(resolve_rules(INTERIOR, most, [f"other {i}" for i in range(32)]).concepts) == 32


def test_a_saved_rule_reads_back_as_it_was_written() -> None:
    asked = {
        "wall": RequestedRule("Recolor", "Oak A"),
        "바닥": RequestedRule("texture", None),
        "Light": RequestedRule("remove", ""),
        "red sofa": RequestedRule("tone", ""),
    }
    rules, protect = validate_rules(INTERIOR, asked, ["grout", "Grout", "wall"])
    assert rules == {
        "Wall": RequestedRule("recolor", "Oak A"),
        "Floor": RequestedRule("texture", ""),
        "Light": RequestedRule("remove", ""),
        "red_sofa": RequestedRule("tone", ""),
    }
    assert protect == ["Grout", "Wall"]
    assert validate_rules(INTERIOR, rules, protect) == (rules, protect)
    assert validate_rules(INTERIOR, rules, None) == (rules, [])
    assert type(rules["Wall"].action) is str


def test_saving_refuses_what_running_would() -> None:
    asked = wishes(Wall="paint:navy", Floor="recolor:okk_a", floor="remove:")
    with pytest.raises(InvalidRules) as caught:
        validate_rules(INTERIOR, asked, [""])
    paths = [p.path for p in caught.value.problems]
    assert paths == ["concepts.Wall.action", "concepts.Floor.value", "protect[0]"]
    with pytest.raises(InvalidRules):
        validate_rules(INTERIOR, {}, None)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ConceptRule(Action.RECOLOR, "navy"), Recolor((0x1F, 0x2F, 0x4A), "navy")),
        (ConceptRule(Action.RECOLOR, "#7FA8C9"), Recolor((0x7F, 0xA8, 0xC9), "#7FA8C9")),
        (ConceptRule(Action.TONE, "warm"), Tone(TONES["warm"])),
        (ConceptRule(Action.TEXTURE, "oak_a"), Texture("oak_a")),
        (ConceptRule(Action.REMOVE), Remove()),
    ],
)
def test_a_canonical_rule_is_read_by_pixels(rule: ConceptRule, expected: object) -> None:
    sent = msgspec.json.encode(rule)
    assert parse_rule(msgspec.json.decode(sent, type=ConceptRule)) == expected


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("recolor", ""),
        ("recolor", "Oak A"),
        ("recolor", "#abc"),
        ("recolor", "white"),
        ("tone", "Warm"),
        ("tone", "warmth=0.1,brightness=0.1"),
        ("texture", "navy"),
        ("texture", "#FFFFFF"),
        ("remove", "x"),
    ],
)
def test_pixels_refuse_what_is_not_canonical(action: str, value: str) -> None:
    with pytest.raises(ValueError):
        parse_rule(ConceptRule(Action(action), value))


NAMES = st.one_of(st.sampled_from([*INTERIOR.concept_ids, "벽", "wall", "sofa"]), st.text())
ACTIONS = st.one_of(st.sampled_from([*Action, "RECOLOR", "Tone"]), st.text())
VALUES = st.one_of(
    st.sampled_from([None, "", "Oak A", "#abc", "white", "navy", "warm", "warmth=.2,contrast=-1"]),
    st.text(),
)
REQUESTS = st.dictionaries(NAMES, st.builds(RequestedRule, ACTIONS, VALUES), max_size=6)
GOOD_REQUESTS = st.dictionaries(
    st.sampled_from([*INTERIOR.concept_ids, "sofa", "Red Chair"]),
    st.one_of(
        st.builds(RequestedRule, st.just("recolor"), st.sampled_from(["Oak A", "#abc", "white"])),
        st.builds(RequestedRule, st.just("tone"), st.sampled_from(["Warm", "warmth=.2"])),
        st.builds(RequestedRule, st.just("texture"), st.sampled_from(["오크", "marble_white"])),
        st.builds(RequestedRule, st.just("remove"), st.sampled_from(["", "x", None])),
    ),
    min_size=1,
)
PROTECT = st.one_of(st.none(), st.lists(NAMES, max_size=4))


def assert_settled(resolved: ResolvedRules) -> None:
    """Resolving what was resolved changes nothing and needs no default."""
    assert not set(resolved.concepts) & set(resolved.protect)
    for rule in resolved.concepts.values():
        parse_rule(rule)
    if not resolved.concepts:
        return
    again = resolve_rules(
        INTERIOR,
        {name: RequestedRule(r.action, r.value) for name, r in resolved.concepts.items()},
        resolved.protect,
        protect_defaults=False,
    )
    assert (again.concepts, again.protect) == (resolved.concepts, resolved.protect)
    assert {w.code for w in again.warnings} <= {"OPEN_VOCABULARY"}


@given(REQUESTS, PROTECT, st.booleans())
def test_any_request_resolves_or_lists_its_problems(
    concepts: dict[str, RequestedRule],
    protect: list[str] | None,
    protect_defaults: bool,
) -> None:
    try:
        resolved = resolve_rules(INTERIOR, concepts, protect, protect_defaults=protect_defaults)
    except InvalidRules as error:
        found = error.problems
    else:
        assert_settled(resolved)
        validate_rules(INTERIOR, concepts, protect)
        return
    assert found
    assert all(p.path.isprintable() and p.message.isprintable() for p in found)


@given(GOOD_REQUESTS, st.lists(st.sampled_from(["Wall", "sofa", "Grout"]), unique=True))
def test_a_good_request_resolves_and_stays_as_it_is(
    concepts: dict[str, RequestedRule], protect: list[str]
) -> None:
    resolved = resolve_rules(INTERIOR, concepts, protect)
    assert_settled(resolved)
    named = {INTERIOR.concept(name).id for name in concepts}
    assert set(resolved.concepts) == named - set(resolved.protect)
