"""Object keys: the contract's table, and that no two things share a key."""

import string
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.keys import (
    InvalidKey,
    KeyKind,
    ObjectKey,
    concept_slug,
    input_key,
    input_prefix,
    instances_key,
    mask_key,
    output_key,
    parse_key,
    preview_key,
)

ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
numbers = st.integers(0, 999_999)
concepts = st.text(min_size=1, max_size=64).filter(lambda name: name.strip(" _") != "")


def test_keys_are_those_of_the_contract() -> None:
    assert input_key("u1", "j1", 0) == "inputs/u1/j1/0.jpg"
    assert output_key("u1", "j1", 7) == "outputs/u1/j1/7_result.png"
    assert preview_key("u1", "j1", 7) == "previews/u1/j1/7_thumb.jpg"
    assert mask_key("u1", "j1", 12, "Frame_Molding") == "masks/u1/j1/12_Frame_Molding.png"
    assert mask_key("u1", "j1", 12, "ceiling fan") == "masks/u1/j1/12_ceiling_fan.png"
    assert instances_key("u1", "j1", 12) == "masks/u1/j1/12_instances.json"
    assert input_prefix("u1", "j1") == "inputs/u1/j1/"


@given(ids, ids, numbers, concepts)
def test_a_built_key_parses_to_what_it_was_built_from(
    user: str, job: str, idx: int, concept: str
) -> None:
    slug = concept_slug(concept)
    built = {
        input_key(user, job, idx): ObjectKey(KeyKind.INPUT, user, job, idx),
        output_key(user, job, idx): ObjectKey(KeyKind.OUTPUT, user, job, idx),
        preview_key(user, job, idx): ObjectKey(KeyKind.PREVIEW, user, job, idx),
        mask_key(user, job, idx, concept): ObjectKey(KeyKind.MASK, user, job, idx, slug),
        instances_key(user, job, idx): ObjectKey(KeyKind.INSTANCES, user, job, idx),
    }
    assert len(built) == 5
    for key, parts in built.items():
        assert parse_key(key) == parts
        assert str(parts) == key
        assert key.isascii()
        assert len(key) < 1024
    assert input_key(user, job, idx).startswith(input_prefix(user, job))


@given(concepts, concepts)
def test_two_concepts_never_share_a_key(one: str, other: str) -> None:
    same = [unicodedata.normalize("NFC", name).replace(" ", "_") for name in (one, other)]
    assume(same[0] != same[1])
    assert mask_key("u", "j", 0, one) != mask_key("u", "j", 0, other)


@given(concepts)
def test_a_concept_cannot_be_named_after_the_slug_of_another(concept: str) -> None:
    slug = concept_slug(concept)
    if slug != concept.replace(" ", "_"):
        assert concept_slug(slug) != slug


@pytest.mark.parametrize("name", ["result", "instances", "thumb", "instances.json", "0", "_x"])
def test_a_concept_named_like_another_kind_stays_a_mask(name: str) -> None:
    parsed = parse_key(mask_key("u", "j", 3, name))
    assert parsed.kind is KeyKind.MASK
    assert mask_key("u", "j", 3, name) != instances_key("u", "j", 3)


def test_open_vocabulary_becomes_a_readable_ascii_slug() -> None:
    # First 8 hex digits of SHA-256 over the UTF-8 of the NFC name, `_` for space.
    assert concept_slug("벽") == "concept-a30f11b6"
    assert concept_slug("café sign") == "caf_sign-f7f90816"
    assert concept_slug(unicodedata.normalize("NFD", "벽")) == concept_slug("벽")
    assert concept_slug("a/../b") == "ab-900ea8b7"
    assert len(concept_slug("x" * 65)) == 49
    assert concept_slug("\ud800") != concept_slug("\ud801")


@pytest.mark.parametrize("name", ["", " ", "_", " _ "])
def test_a_blank_concept_has_no_key(name: str) -> None:
    with pytest.raises(InvalidKey):
        mask_key("u", "j", 0, name)


@pytest.mark.parametrize("part", ["", "a/b", "..", "a b", "x" * 65, "ü", "a\n", "a.b"])
def test_ids_that_are_no_ids_are_refused(part: str) -> None:
    for build in (input_key, output_key, preview_key, instances_key):
        with pytest.raises(InvalidKey):
            build(part, "j", 0)
        with pytest.raises(InvalidKey):
            build("u", part, 0)
    with pytest.raises(InvalidKey):
        input_prefix("u", part)


@pytest.mark.parametrize("idx", [-1, 1_000_000, True])
def test_item_numbers_that_are_none_are_refused(idx: int) -> None:
    with pytest.raises(InvalidKey):
        input_key("u", "j", idx)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "inputs/u/j/0.png",
        "inputs/u/j/00.jpg",
        "inputs/u/j/-1.jpg",
        "inputs/u/j/1e3.jpg",
        "inputs/u/j/٣.jpg",
        "inputs/u/j/0.jpg\n",
        "inputs/u/j/../j/0.jpg",
        "/inputs/u/j/0.jpg",
        "inputs/u//0.jpg",
        "inputs/u/j/x/0.jpg",
        "outputs/u/j/0.png",
        "outputs/u/j/0_result.jpg",
        "masks/u/j/0_.png",
        "masks/u/j/0_벽.png",
        "masks/u/j/0_instances.JSON",
        "inputs/" + "u" * 65 + "/j/0.jpg",
        "INPUTS/u/j/0.jpg",
    ],
)
def test_foreign_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        parse_key(key)


@given(st.text())
def test_parsing_refuses_or_gives_back_the_same_key(text: str) -> None:
    try:
        parsed = parse_key(text)
    except InvalidKey:
        return
    assert str(parsed) == text


def test_a_concept_on_anything_but_a_mask_is_refused() -> None:
    with pytest.raises(InvalidKey):
        str(ObjectKey(KeyKind.INPUT, "u", "j", 0, "Wall"))
    with pytest.raises(InvalidKey):
        str(ObjectKey(KeyKind.MASK, "u", "j", 0))
    with pytest.raises(InvalidKey):
        str(ObjectKey(KeyKind.MASK, "u", "j", 0, "a/b"))
