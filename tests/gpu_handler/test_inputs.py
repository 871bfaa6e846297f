"""What a request may carry; whatever else it carries is refused with the field's name."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_handler.inputs import InlineRequest, InputRefused, read_input
from shared.messages import JobMessage
from shared.rules import RequestedRule
from tests.gpu_handler.conftest import Lab


def payload(**changes: Any) -> dict[str, Any]:
    """A job message as JSON brings it; a change to None takes the field out."""
    whole: dict[str, Any] = json.loads(msgspec.json.encode(Lab().message(2)))
    whole |= changes
    return {name: value for name, value in whole.items() if value is not None}


def refused(given: object) -> str:
    with pytest.raises(InputRefused) as refusal:
        read_input(given)
    return str(refusal.value)


def test_job_message_is_read() -> None:
    message = read_input(payload())

    assert isinstance(message, JobMessage)
    assert message == Lab().message(2)


def test_fields_of_a_later_version_of_the_api_do_no_harm() -> None:
    assert isinstance(read_input(payload(colour_space="p3")), JobMessage)


def test_console_request_is_read_as_people_write_it() -> None:
    request = read_input(
        {"image_url": "https://x.test/a.jpg", "concepts": {"벽": {"action": "tone"}}}
    )

    assert isinstance(request, InlineRequest)
    assert request.preset == "interior"
    assert request.protect is None
    assert request.concepts == {"벽": RequestedRule("tone", "")}


@pytest.mark.parametrize("name", [f for f in payload() if f not in ("job_id", "schema_version")])
def test_missing_field_is_named(name: str) -> None:
    assert refused(payload(**{name: None})) == f"INVALID_INPUT: field {name}: is missing"


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"attempt": "1"}, "field attempt: expected `int`, got `str`"),
        ({"attempt": True}, "field attempt: expected `int`, got `bool`"),
        ({"items": {}}, "field items: expected `array`"),
        ({"items": [{"idx": 0}]}, "field items[0].input_key: is missing"),
        ({"items": [{"idx": "0"}]}, "field items[0].idx: expected `int`"),
        ({"concepts": {"Wall": {"action": "paint"}}}, "field concepts[...].action: invalid enum"),
        ({"concepts": {"Wall": "navy"}}, "field concepts[...]: expected `object`"),
        ({"protect": "Grout"}, "field protect: expected `array`"),
        ({"protect": [1]}, "field protect[0]: expected `str`"),
        ({"schema_version": None}, "field schema_version: is missing"),
        ({"callback_url": 7}, "field callback_url: expected `str`"),
    ],
)
def test_field_of_another_type_is_named(changes: dict[str, Any], start: str) -> None:
    assert refused(payload(**changes)).startswith(f"INVALID_INPUT: {start}")


@pytest.mark.parametrize("version", [0, 3, "1", 1.5, [], "9" * 5000])
def test_other_schema_is_refused_as_such(version: object) -> None:
    told = refused(payload(schema_version=version))

    assert told.startswith("UNSUPPORTED_SCHEMA: this worker reads schema_version 1 and 2, not ")
    assert len(told) < 120


@pytest.mark.parametrize("given", [None, "text", 3, [], [{"job_id": "x"}]])
def test_input_that_is_no_object_is_refused(given: object) -> None:
    assert refused(given) == "INVALID_INPUT: field input: must be an object"


@pytest.mark.parametrize("given", [{}, {"prompt": "a wall"}, {"concepts": {}}])
def test_input_of_neither_kind_is_told_what_there_is(given: object) -> None:
    assert refused(given).startswith("INVALID_INPUT: field job_id: is missing (or give image_url")


@pytest.mark.parametrize(
    "given",
    [
        {"image_url": "https://x.test/a.jpg"},
        {"image_url": 5, "concepts": {}},
        {"image_base64": "AAAA", "concepts": {"Wall": {"value": "navy"}}},
        {"image_base64": "AAAA", "concepts": {"Wall": {"action": None}}},
    ],
)
def test_console_request_that_does_not_fit_is_refused(given: object) -> None:
    assert refused(given).startswith("INVALID_INPUT: field ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*payload(), "image_url", "image_base64"]), JSON))
def test_anything_is_read_or_refused_in_one_line(given: dict[str, object]) -> None:
    try:
        read_input(given)
    except InputRefused as refusal:
        assert str(refusal).startswith(("INVALID_INPUT: field ", "UNSUPPORTED_SCHEMA: "))  # noqa: PT017
