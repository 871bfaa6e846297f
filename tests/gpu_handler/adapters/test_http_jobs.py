"""Jobs through the HTTP adapter, as the API's own client sees them."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec
import pytest

from edge_api.clients.runpod import (
    RunpodForgotten,
    RunpodJob,
    RunpodStatus,
    RunpodTransient,
)
from gpu_handler.adapters.http.backlog import Backlog
from gpu_handler.adapters.http.desk import Desk
from gpu_handler.adapters.http.jobs import JobStatus
from gpu_handler.adapters.http.requests import Policy, RunRequest
from gpu_handler.devices.errors import DeviceLost
from shared.messages import JobMessage, JobSummary
from tests.gpu_handler.adapters.http_counter import Counter, open_counter
from tests.gpu_handler.conftest import Lab, until

_S = RunpodStatus


def run(story: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story

    asyncio.run(bounded())


async def submit(counter: Counter, message: JobMessage) -> str:
    return await counter.service.submit("handler", message, execution_timeout=60, ttl=600)


async def status(counter: Counter, job_id: str) -> RunpodJob:
    return await counter.service.status("handler", job_id)


async def ended(counter: Counter, job_id: str) -> RunpodJob:
    await counter.desk.backlog.find(job_id).over.wait()
    return await status(counter, job_id)


def summary(job: RunpodJob) -> JobSummary:
    return msgspec.json.decode(job.output, type=JobSummary)


@pytest.fixture
def gate(lab: Lab) -> threading.Event:
    """The device works from when this is set."""
    lab.engine.gate = threading.Event()
    return lab.engine.gate


def test_job_ends_with_its_summary_and_its_times(lab: Lab) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            job_id = await submit(counter, lab.job(2))
            job = await ended(counter, job_id)

        assert job.status is _S.COMPLETED
        assert [item.status for item in summary(job).items] == ["done", "done"]
        assert {item.runpod_job_id for item in summary(job).items} == {job_id}
        assert job.execution_ms is not None
        assert {result.idx for result in lab.api.results} == {0, 1}

    run(story())


def test_refused_input_fails_the_job_and_names_the_field(lab: Lab) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            message = msgspec.structs.replace(lab.job(1), preset="garden")
            job = await ended(counter, await submit(counter, message))

        assert job.status is _S.FAILED
        assert b"INVALID_INPUT: field preset" in bytes(job.error)

    run(story())


def test_two_run_at_once_others_wait_and_a_full_queue_turns_away(
    lab: Lab, gate: threading.Event
) -> None:
    async def story() -> None:
        async with open_counter(lab, queue=1) as counter:
            ids = [await submit(counter, lab.job(1)) for _ in range(3)]
            states = [(await status(counter, job_id)).status for job_id in ids]
            assert states == [_S.IN_PROGRESS, _S.IN_PROGRESS, _S.IN_QUEUE]

            with pytest.raises(RunpodTransient):
                await submit(counter, lab.job(1))
            answer = await counter.http.post("/v2/handler/run", content=b'{"input": {}}')
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            assert (await counter.http.get("/health/ready")).status_code == 503
            workers = await counter.service.workers("handler")
            assert (workers.usable, workers.throttled) == (0, 1), "a job that waits is not stuck"

            gate.set()
            assert {(await ended(counter, job_id)).status for job_id in ids} == {_S.COMPLETED}
            await until(lambda: not counter.desk.is_busy)
            assert (await counter.http.get("/health/ready")).status_code == 200
            assert (await counter.service.workers("handler")).usable == 1

    run(story())


def test_waiting_job_that_is_cancelled_never_begins(lab: Lab, gate: threading.Event) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            ids = [await submit(counter, lab.job(1, job=f"job-{n}")) for n in range(3)]

            await counter.service.cancel("handler", ids[2])

            assert (await status(counter, ids[2])).status is _S.CANCELLED
            gate.set()
            await ended(counter, ids[0])
            await ended(counter, ids[1])
        assert not any("job-2" in key for _, key in lab.store.journal)

    run(story())


def test_running_job_that_is_cancelled_lets_go_and_the_next_begins(
    lab: Lab, gate: threading.Event
) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            ids = [await submit(counter, lab.job(3, job=f"job-{n}")) for n in range(3)]
            await until(lambda: lab.engine.calls == 1)

            await counter.service.cancel("handler", ids[0])
            await counter.service.cancel("handler", ids[0])

            assert (await status(counter, ids[0])).status is _S.CANCELLED
            assert (await status(counter, ids[2])).status is _S.IN_QUEUE, "its photos hold a place"
            gate.set()
            assert (await ended(counter, ids[2])).status is _S.COMPLETED
            job = await status(counter, ids[0])
            assert (job.status, bytes(job.output)) == (_S.CANCELLED, b"null")
        assert not any("job-0" in (result.output_key or "") for result in lab.api.results)

    run(story())


def test_job_that_takes_too_long_is_stopped(lab: Lab, gate: threading.Event) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            message = msgspec.to_builtins(lab.job(2))
            job = counter.desk.submit(RunRequest(message, Policy(execution_timeout=50)))

            told = await ended(counter, job.id)

            assert told.status is _S.TIMED_OUT
            assert b"executionTimeout" in bytes(told.error)
            gate.set()
            await until(lambda: counter.desk.health()["workers"]["idle"] == 1)
            assert (await status(counter, job.id)).status is _S.TIMED_OUT
        assert lab.api.results == []

    run(story())


def test_nobody_knows_a_job_that_never_was(lab: Lab) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            with pytest.raises(RunpodForgotten):
                await status(counter, "8c1b5d5e-0000-4000-8000-000000000000")
            with pytest.raises(RunpodForgotten):
                await counter.service.cancel("handler", "../health")

    run(story())


def test_leaving_finishes_photos_in_flight_and_begins_nothing(
    lab: Lab, gate: threading.Event
) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            ids = [await submit(counter, lab.job(3, job=f"job-{n}")) for n in range(3)]
            await until(lambda: lab.engine.calls == 1)

            counter.desk.leave()
            counter.desk.leave()

            assert (await status(counter, ids[2])).status is _S.CANCELLED
            assert (await counter.http.get("/health/ready")).status_code == 503
            assert (await counter.http.get("/health/live")).status_code == 200
            with pytest.raises(RunpodTransient):
                await submit(counter, lab.job(1))
            assert not counter.desk.has_left
            gate.set()
            jobs = [await ended(counter, job_id) for job_id in ids[:2]]
            assert [summary(job).stopped for job in jobs] == ["shutdown", "shutdown"]
            assert sum(len(summary(job).items) for job in jobs) in {1, 2}
            await until(lambda: counter.desk.has_left)

    run(story())


def lose_device(_: object) -> None:
    raise DeviceLost("canary")


def test_lost_device_ends_the_jobs_and_then_the_handler(lab: Lab, gate: threading.Event) -> None:
    lab.engine.failing = lose_device

    async def story() -> None:
        async with open_counter(lab) as counter:
            ids = [await submit(counter, lab.job(2, job=f"job-{n}")) for n in range(3)]
            gate.set()
            jobs = [await ended(counter, job_id) for job_id in ids]
            await until(lambda: counter.desk.has_left)

            assert [job.status for job in jobs] == [_S.COMPLETED, _S.COMPLETED, _S.CANCELLED]
            for job in jobs[:2]:
                assert b"refresh_worker" not in bytes(job.output)
                codes = {item.error and item.error.code for item in summary(job).items}
                assert codes == {"DEVICE_LOST"}
            with pytest.raises(RunpodTransient):
                await submit(counter, lab.job(1))
            assert (await counter.service.workers("handler")).usable == 0

    run(story())


def test_job_cancelled_while_the_device_is_lost_does_not_keep_the_handler(
    lab: Lab, gate: threading.Event
) -> None:
    lab.engine.failing = lose_device

    async def story() -> None:
        async with open_counter(lab) as counter:
            job_id = await submit(counter, lab.job(2))
            await until(lambda: lab.engine.calls == 1)
            await counter.service.cancel("handler", job_id)
            gate.set()
            await until(lambda: counter.desk.has_left)

    run(story())


@pytest.mark.parametrize("answer", [{"set": {1, object()}}, RuntimeError("canary")])
def test_handler_that_fails_shows_nothing_of_it(
    lab: Lab, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_: Mapping[str, object]) -> dict[str, Any]:
        if isinstance(answer, Exception):
            raise answer
        return {"answer": answer}

    async def story() -> None:
        async with lab.worker(1) as worker:
            desk = Desk(handler, Backlog(1, lambda: 0.0), worker)
            job = desk.submit(RunRequest({}))
            await job.over.wait()
            assert job.status is JobStatus.FAILED
            told = b'"INTERNAL_ERROR: the handler could not finish this request"'
            assert bytes(job.error or b"") == told
            assert desk.submit(RunRequest({})).id != job.id, "and goes on"
            await until(lambda: desk.health()["jobs"]["failed"] == 2)

    run(story())
    assert "the handler failed" in caplog.text
