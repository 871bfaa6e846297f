"""One handler, every version of the job message: the work is the same."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher
from shared.messages import ItemResult, JobSummary
from shared.versions import READS, write
from tests.gpu_handler.conftest import Lab

COUNT = 3


def carry_out(version: int) -> tuple[JobSummary, list[ItemResult], dict[str, bytes]]:
    """What a handler answers to, calls back about and stores for one job, written so."""
    lab = Lab()
    told = call(lab, msgspec.to_builtins(write(lab.job(COUNT), version)))
    return msgspec.convert(told, JobSummary), lab.api.results, lab.store.objects


def call(lab: Lab, input_: object) -> dict[str, Any]:
    async def go() -> dict[str, Any]:
        async with lab.worker() as worker:
            return await make_handler(worker, Fetcher())({"id": "runpod-1", "input": input_})

    return json.loads(json.dumps(asyncio.run(go())))


def untimed(results: list[ItemResult]) -> list[ItemResult]:
    ordered = sorted(results, key=lambda result: result.idx)
    return [msgspec.structs.replace(result, timings=None) for result in ordered]


@pytest.mark.parametrize("version", [number for number in READS if number != 1])
def test_results_callbacks_and_summary_are_those_of_version_1(version: int) -> None:
    summary, reported, stored = carry_out(version)
    before, reported_before, stored_before = carry_out(1)

    assert [item.status for item in summary.items] == ["done"] * COUNT
    assert untimed(summary.items) == untimed(before.items)
    assert untimed(reported) == untimed(reported_before)
    assert stored == stored_before
    assert summary.schema_version == before.schema_version


def test_an_etag_counts_in_the_short_version_as_well(lab: Lab) -> None:
    sent = msgspec.to_builtins(write(lab.job(1), 2))
    sent["items"] = [{"idx": 0, "input_etag": "0" * 32}]

    (item,) = msgspec.convert(call(lab, sent), JobSummary).items

    assert item.error is not None
    assert item.error.code == "INPUT_CHANGED"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_id": "../other"}, "user_id"),
        ({"items": [{"idx": -1}]}, "items[0].idx"),
        ({"items": [{"input_etag": "0"}]}, "items[0].idx"),
    ],
)
def test_a_short_message_that_does_not_fit_is_refused_with_its_field(
    lab: Lab, change: dict[str, object], field: str
) -> None:
    told = call(lab, msgspec.to_builtins(write(lab.job(1), 2)) | change)

    assert told["error"].startswith(f"INVALID_INPUT: field {field}: ")
    assert lab.store.journal == []


def test_a_version_of_tomorrow_is_refused_and_nothing_done(lab: Lab) -> None:
    sent = msgspec.to_builtins(lab.job(1)) | {"schema_version": max(READS) + 1}

    told = call(lab, sent)

    # The API tells by this beginning that another worker may read it.
    assert told["error"].startswith("UNSUPPORTED_SCHEMA:")
    assert lab.store.journal == []
    assert lab.api.results == []
