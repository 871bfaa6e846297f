"""What joins a worker's lines and callbacks with the lines of the API."""

import asyncio
import json
import logging
from collections.abc import Generator
from io import StringIO
from typing import Any

import httpx
import msgspec
import pytest

from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher
from gpu_handler.ids import ids_of, origin
from shared.logs import JsonLines
from shared.messages import JobMessage
from tests.gpu_handler.conftest import Lab, RecordingApi

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class ListeningApi(RecordingApi):
    """Keeps the headers of every callback as well."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[httpx.Headers] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        return await super().__call__(request)


@pytest.fixture
def logged() -> Generator[StringIO]:
    """What the worker would write while the test runs."""
    output, ours = StringIO(), logging.getLogger("gpu_handler")
    handler, level = logging.StreamHandler(output), ours.level
    handler.setFormatter(JsonLines())
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    yield output
    ours.setLevel(level)
    ours.removeHandler(handler)


def work(lab: Lab, payload: object) -> None:
    async def run() -> None:
        async with lab.worker() as worker:
            await make_handler(worker, Fetcher())({"id": "runpod-1", "input": payload})

    asyncio.run(run())


def with_origin(message: JobMessage, **ids: str | None) -> JobMessage:
    return msgspec.structs.replace(message, **ids)


def lines(output: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_every_line_and_callback_of_a_job_names_what_it_follows_from(logged: StringIO) -> None:
    api = ListeningApi()
    api.status = lambda result: 500  # so that the callbacks have something to say
    lab = Lab(api=api)
    message = with_origin(lab.job(2), request_id="request-of-execute", traceparent=TRACEPARENT)

    work(lab, msgspec.to_builtins(message))

    told = lines(logged)
    assert {line["logger"] for line in told} == {
        "gpu_handler.answering",
        "gpu_handler.pipeline.job",
        "gpu_handler.callback",
    }
    ids = {
        "job_id": message.job_id,
        "dispatch_id": message.dispatch_id,
        "attempt": message.attempt,
        "request_id": "request-of-execute",
        "trace_id": TRACE,
        "runpod_job_id": "runpod-1",
    }
    for line in told:
        assert {name: line.get(name) for name in ids} == ids, line["message"]
    assert len(api.headers) == 4  # two photos, two tries each
    for headers in api.headers:
        assert headers["x-request-id"] == "request-of-execute"
        assert headers["traceparent"] == TRACEPARENT


def test_a_message_of_an_api_that_names_neither_is_worked_on_as_before(logged: StringIO) -> None:
    api = ListeningApi()
    lab = Lab(api=api)
    work(lab, msgspec.to_builtins(lab.job(1)))
    assert [result.status for result in api.results] == ["done"]
    assert not {"x-request-id", "traceparent"} & set(api.headers[0])
    assert not [line for line in lines(logged) if "request_id" in line or "trace_id" in line]


def test_a_refused_message_is_found_by_its_job(logged: StringIO) -> None:
    work(Lab(), {"job_id": "job-7", "schema_version": 99, "dispatch_id": ["no", "text"]})
    (line,) = lines(logged)
    assert line["message"].startswith("refused: UNSUPPORTED_SCHEMA")
    assert (line["job_id"], line["runpod_job_id"]) == ("job-7", "runpod-1")
    assert "dispatch_id" not in line


@pytest.mark.parametrize("odd", ["", "short", "a" * 129, "two words", "line\nbreak", "벽지 색깔"])
def test_an_id_that_is_no_header_is_left_out(odd: str) -> None:
    message = with_origin(Lab().message(1), request_id=odd, traceparent=odd)
    assert origin(message) == {}
    assert "trace_id" not in ids_of(msgspec.to_builtins(message))


@pytest.mark.parametrize("payload", [None, "text", [], {}, {"job_id": "x" * 1000, "attempt": None}])
def test_of_a_payload_that_names_nothing_there_are_no_ids(payload: object) -> None:
    assert ids_of(payload) == {}


def test_a_message_without_them_is_what_it_was_before_there_were_any() -> None:
    sent = msgspec.to_builtins(Lab().message(1))
    assert not {"request_id", "traceparent"} & set(sent)
