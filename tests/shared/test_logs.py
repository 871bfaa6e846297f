"""Log lines: JSON, with the job they belong to, also from threads."""

import asyncio
import json
import logging
import sys
from collections.abc import Generator

import pytest

from gpu_handler.pipeline.lanes import Lanes
from shared.logs import JsonLines, also_log, configure_logs, log_context

log = logging.getLogger("gpu_handler.test")


def line(record: logging.LogRecord) -> dict[str, object]:
    return json.loads(JsonLines().format(record))


@pytest.fixture
def own_root() -> Generator[None]:
    """The root logger as it was, and the libraries' levels, when the test is over."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    httpx_level = logging.getLogger("httpx").level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(httpx_level)


def test_line_is_json_with_context_and_extras() -> None:
    record = log.makeRecord(
        log.name, logging.INFO, "", 0, "벽 %d", (7,), None, extra={"timings": {"total": 1.5}}
    )

    with log_context(request_id="runpod-1"), log_context(job_id="job-1"):
        told = line(record)

    assert told["message"] == "벽 7"
    assert (told["level"], told["request_id"], told["job_id"]) == ("info", "runpod-1", "job-1")
    assert told["timings"] == {"total": 1.5}
    assert "job_id" not in line(record)


def test_what_becomes_known_later_holds_until_the_context_ends() -> None:
    record = log.makeRecord(log.name, logging.INFO, "", 0, "told", (), None)

    async def parse() -> None:
        also_log(dispatch_id="dispatch-1", attempt=2)

    async def go() -> dict[str, object]:
        with log_context(job_id="job-1"):
            await parse()
            return line(record)

    with log_context(request_id="request-1"):
        told = asyncio.run(go())
        after = line(record)

    assert (told["request_id"], told["job_id"]) == ("request-1", "job-1")
    assert (told["dispatch_id"], told["attempt"]) == ("dispatch-1", 2)
    assert not {"job_id", "dispatch_id", "attempt"} & set(after)


def test_line_stays_one_line_with_a_traceback_and_odd_values() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = log.makeRecord(
        log.name, logging.ERROR, "", 0, "bad\nluck", (), info, extra={"odd": object()}
    )

    text = JsonLines().format(record)

    assert "\n" not in text
    assert "ValueError" in json.loads(text)["traceback"]


def test_threads_of_a_job_log_with_its_id() -> None:
    async def go() -> dict[str, object]:
        lanes = Lanes(pixels=1, network=1)
        try:
            with log_context(job_id="job-1"):
                record = log.makeRecord(log.name, logging.INFO, "", 0, "in a thread", (), None)
                return await lanes.pixels(line, record)
        finally:
            lanes.close()

    assert asyncio.run(go())["job_id"] == "job-1"


@pytest.mark.usefixtures("own_root")
def test_libraries_that_write_urls_are_kept_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("DEBUG", sys.stdout)

    logging.getLogger("httpx").info("GET https://x.test/?token=canary")
    log.debug("ours")

    told = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [entry["message"] for entry in told] == ["ours"]
