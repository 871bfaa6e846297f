"""The job message in each version that may be on its way: one meaning, however it is written."""

import msgspec
import pytest

from shared.actions import Action
from shared.keys import input_key, output_key, preview_key
from shared.messages import SCHEMA_VERSION, ItemMessage, JobMessage
from shared.rules import ConceptRule
from shared.versions import READS, ShortJobMessage, read, write

USER, JOB = "user_01a1fd910c7e4f6b", "job_01a1fd910c7e4f6b"


def message(count: int) -> JobMessage:
    return JobMessage(
        schema_version=SCHEMA_VERSION,
        job_id=JOB,
        dispatch_id="dispatch_01a1fd910c7e4f6b",
        attempt=2,
        user_id=USER,
        preset="interior",
        concepts={"Wall": ConceptRule(Action.RECOLOR, "offwhite_b")},
        protect=["Grout"],
        items=[
            ItemMessage(
                idx,
                input_key(USER, JOB, idx),
                output_key(USER, JOB, idx),
                preview_key(USER, JOB, idx),
                input_etag=None if idx % 2 else "d41d8cd98f00b204e9800998ecf8427e",
            )
            for idx in range(count)
        ],
        callback_url=f"https://api.test/jobs/{JOB}/callback",
        idempotency_prefix=JOB,
        batch_concurrency=4,
        request_id="request-1",
    )


def on_the_wire(whole: JobMessage, version: int) -> bytes:
    return msgspec.json.encode(write(whole, version))


@pytest.mark.parametrize("version", READS)
def test_every_version_says_the_same(version: int) -> None:
    whole = message(7)
    sent = on_the_wire(whole, version)
    assert msgspec.json.decode(sent)["schema_version"] == version
    assert read(msgspec.json.decode(sent, type=READS[version])) == whole


def test_the_version_that_is_the_contract_s_is_written_as_it_is() -> None:
    whole = message(2)
    assert write(whole, SCHEMA_VERSION) is whole
    assert {"idx", "input_key", "output_key", "preview_key"} <= msgspec.to_builtins(whole)["items"][
        0
    ].keys()


def test_the_short_version_is_much_shorter() -> None:
    whole = message(200)
    assert 5 * len(on_the_wire(whole, 2)) < len(on_the_wire(whole, 1))


def test_an_older_reader_refuses_the_short_version() -> None:
    """Why it is another version, and no more optional fields."""
    with pytest.raises(msgspec.ValidationError, match="input_key"):
        msgspec.json.decode(on_the_wire(message(1), 2), type=JobMessage)


def test_nothing_is_written_that_nobody_reads() -> None:
    with pytest.raises(KeyError):
        write(message(1), max(READS) + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "../other"},
        {"job_id": "a/b"},
        {"user_id": "user\n"},
        {"items": [{"idx": -1}]},
        {"items": [{"idx": 1_000_000}]},
    ],
)
def test_what_no_key_can_be_made_of_is_refused_where_it_is_read(change: dict[str, object]) -> None:
    sent = msgspec.to_builtins(write(message(1), 2)) | change
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(sent, ShortJobMessage)
