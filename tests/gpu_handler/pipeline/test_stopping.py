"""Jobs that end before their last photo: cancelled, superseded, shut down."""

import asyncio
import threading

import pytest

from gpu_handler.pipeline.job import JobRun
from gpu_handler.pipeline.stopping import Stopped, StopReason, StopSign
from gpu_handler.pipeline.worker import Worker
from shared.keys import output_key
from shared.messages import JobMessage, JobSummary
from tests.gpu_handler.conftest import JOB, USER, Lab, until


def begin(worker: Worker, message: JobMessage) -> asyncio.Task[JobSummary]:
    return asyncio.create_task(JobRun(worker, message, "runpod-1").run())


def stored_results(lab: Lab) -> set[str]:
    return {key for key in lab.store.objects if key.startswith("outputs/")}


def test_cancelled_job_reports_what_it_did_and_drops_the_rest(lab: Lab) -> None:
    message = lab.job(8)
    lab.engine.gate = gate = threading.Event()
    lab.engine.gated_from = 5

    async def go() -> JobSummary:
        async with lab.worker(1) as worker:
            job = begin(worker, message)
            await until(lambda: lab.engine.calls == 5 and len(lab.api.results) == 4)
            job.cancel()
            await asyncio.sleep(0.05)
            gate.set()
            summary = await job
            assert job.cancelling() == 0, "a timeout further out would take it for its own"
            return summary

    summary = asyncio.run(go())

    assert summary.stopped == "cancelled"
    assert [item.idx for item in summary.items] == [0, 1, 2, 3]
    assert stored_results(lab) == {output_key(USER, JOB, idx) for idx in range(4)}
    assert len(lab.api.results) == 4


def test_cancellation_that_came_after_the_last_photo_leaves_a_whole_summary(lab: Lab) -> None:
    message = lab.job(2)
    lab.api.open.clear()

    async def go() -> JobSummary:
        async with lab.worker() as worker:
            job = begin(worker, message)
            await until(lambda: len(stored_results(lab)) == 2)
            await asyncio.sleep(0.05)
            job.cancel()
            await asyncio.sleep(0.05)
            lab.api.open.set()
            return await job

    summary = asyncio.run(go())

    assert summary.stopped is None
    assert len(summary.items) == 2


def test_second_cancellation_does_not_wait(lab: Lab) -> None:
    message = lab.job(4)
    lab.engine.gate = gate = threading.Event()

    async def go() -> None:
        async with lab.worker() as worker:
            job = begin(worker, message)
            await until(lambda: lab.engine.calls == 1)
            job.cancel()
            await asyncio.sleep(0.05)
            assert not job.done(), "the first cancellation waits for the photo on the device"
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(job, 1.0)
            gate.set()

    asyncio.run(go())

    assert stored_results(lab) == set()


def test_superseded_job_stops_and_stores_nothing_more(lab: Lab) -> None:
    message = lab.job(8)
    lab.api.status = lambda result: 409 if result.idx == 2 else 200

    async def go() -> JobSummary:
        async with lab.worker(1) as worker:
            lab.engine.seconds = 0.05
            return await begin(worker, message)

    summary = asyncio.run(go())

    assert summary.stopped == "superseded"
    assert len(summary.items) < 6
    assert {item.idx for item in summary.items} == set(range(len(summary.items)))
    assert len(stored_results(lab)) == len(summary.items)


def test_shutdown_finishes_photos_in_flight_and_leaves_out_others(lab: Lab) -> None:
    message = lab.job(8)
    lab.engine.gate = gate = threading.Event()

    async def go() -> JobSummary:
        async with lab.worker(2) as worker:
            job = begin(worker, message)
            await until(lambda: lab.engine.calls == 1)
            await until(lambda: sum(verb == "get" for verb, _ in lab.store.journal) == 2)
            worker.drain()
            gate.set()
            return await job

    summary = asyncio.run(go())

    assert summary.stopped == "shutdown"
    assert [item.idx for item in summary.items] == [0, 1]
    assert {item.status for item in summary.items} == {"done"}
    assert len(lab.api.results) == 2


def test_job_that_comes_during_a_shutdown_is_handed_back_untouched(lab: Lab) -> None:
    message = lab.job(3)

    async def go() -> JobSummary:
        async with lab.worker() as worker:
            worker.drain()
            return await begin(worker, message)

    summary = asyncio.run(go())

    assert (summary.stopped, summary.items) == ("shutdown", [])
    assert lab.store.journal == []


def test_device_never_runs_two_photos_at_once_whatever_is_cancelled(lab: Lab) -> None:
    lab.engine.seconds = 0.02
    jobs = [lab.job(5, job=f"job-{n}") for n in range(4)]

    async def go() -> list[JobSummary | BaseException]:
        async with lab.worker() as worker:
            running = [begin(worker, message) for message in jobs]
            await until(lambda: lab.engine.calls >= 3)
            running[0].cancel()
            await until(lambda: lab.engine.calls >= 6)
            running[1].cancel()
            running[1].cancel()
            return await asyncio.gather(*running, return_exceptions=True)

    outcomes = asyncio.run(go())

    assert lab.engine.most_at_once == 1
    assert [isinstance(o, JobSummary) and len(o.items) for o in outcomes[2:]] == [5, 5]


def test_jobs_side_by_side_keep_their_results_apart(lab: Lab) -> None:
    jobs = [lab.job(4, job=f"job-{n}") for n in range(3)]

    async def go() -> list[JobSummary]:
        async with lab.worker(3) as worker:
            return await asyncio.gather(*(begin(worker, message) for message in jobs))

    for message, summary in zip(jobs, asyncio.run(go()), strict=True):
        assert summary.job_id == message.job_id
        assert [item.output_key for item in summary.items] == [
            item.output_key for item in message.items
        ]


def test_first_reason_holds_but_a_shutdown_gives_way() -> None:
    sign = StopSign()
    sign.check()

    sign.raise_for(StopReason.SHUTDOWN)
    sign.check()
    sign.raise_for(StopReason.SUPERSEDED)
    sign.raise_for(StopReason.CANCELLED)

    assert sign.reason is StopReason.SUPERSEDED
    with pytest.raises(Stopped):
        sign.check()
