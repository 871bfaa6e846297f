"""Who waits, who is forgotten, and when: on a clock that the test turns."""

import pytest
from msgspec import Raw

from gpu_handler.adapters.http.backlog import (
    KEPT_BYTES,
    RETENTION,
    SYNC_RETENTION,
    TTL,
    Backlog,
)
from gpu_handler.adapters.http.errors import JobNotFound
from gpu_handler.adapters.http.jobs import Job, JobStatus, Outcome, status_body
from gpu_handler.adapters.http.requests import Policy, RunRequest

DONE = Outcome(JobStatus.COMPLETED, Raw(b"{}"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backlog(clock: Clock) -> Backlog:
    return Backlog(2, clock)


def add(backlog: Backlog, *, sync: bool = False, ttl: int | None = None) -> Job:
    return backlog.add(RunRequest({"a": 1}, Policy(ttl=ttl)), sync=sync)


def knows(backlog: Backlog, job: Job) -> bool:
    try:
        return backlog.find(job.id) is job
    except JobNotFound:
        return False


def test_jobs_are_taken_in_their_order_and_as_many_wait_as_may(backlog: Backlog) -> None:
    first = add(backlog)
    assert not backlog.is_full
    second = add(backlog)
    assert backlog.is_full

    assert backlog.take() is first
    assert not backlog.is_full
    assert backlog.take() is second
    assert backlog.take() is None


def test_job_tells_how_long_it_waited_and_ran_in_milliseconds(
    backlog: Backlog, clock: Clock
) -> None:
    job = add(backlog)
    assert status_body(job) == {"id": job.id, "status": "IN_QUEUE"}
    clock.now += 1.5
    backlog.take()
    assert status_body(job) == {"id": job.id, "status": "IN_PROGRESS", "delayTime": 1500}
    clock.now += 2.25
    backlog.end(job, DONE)

    told = status_body(job)

    assert (told["status"], told["delayTime"], told["executionTime"]) == ("COMPLETED", 1500, 2250)
    assert job.output is not None
    assert bytes(job.output) == b"{}"
    assert job.over.is_set()
    assert job.input == {}, "photos of the console are not kept beside their answer"


def test_first_end_counts(backlog: Backlog) -> None:
    job = add(backlog)
    backlog.end(job, Outcome(JobStatus.CANCELLED))

    backlog.end(job, DONE)

    assert (job.status, job.output) == (JobStatus.CANCELLED, None)
    assert backlog.take() is None
    assert backlog.tally == {JobStatus.CANCELLED: 1}


@pytest.mark.parametrize(("sync", "retention"), [(False, RETENTION), (True, SYNC_RETENTION)])
def test_ended_job_is_forgotten_after_its_retention(
    backlog: Backlog, clock: Clock, sync: bool, retention: float
) -> None:
    job = add(backlog, sync=sync)
    backlog.take()
    clock.now += 10 * RETENTION
    backlog.end(job, DONE)

    clock.now += retention - 0.1
    assert knows(backlog, job)
    clock.now += 0.2
    assert not knows(backlog, job)
    assert backlog.tally[JobStatus.COMPLETED] == 1


@pytest.mark.parametrize(("ttl", "seconds"), [(None, TTL), (10_000, 10.0)])
def test_job_that_waits_longer_than_its_ttl_is_gone_and_one_that_runs_is_not(
    backlog: Backlog, clock: Clock, ttl: int | None, seconds: float
) -> None:
    runs, waits = add(backlog, ttl=ttl), add(backlog, ttl=ttl)
    backlog.take()

    clock.now += seconds - 0.1
    assert knows(backlog, waits)
    clock.now += 0.2

    assert not backlog.is_full
    assert not knows(backlog, waits)
    assert knows(backlog, runs)
    assert backlog.take() is None


def test_oldest_answers_make_room_for_the_newest(backlog: Backlog, clock: Clock) -> None:
    half = Raw(bytes(KEPT_BYTES // 2))
    jobs: list[Job] = []
    for _ in range(3):
        clock.now += 1
        jobs.append(add(backlog))
        backlog.take()
        backlog.end(jobs[-1], Outcome(JobStatus.COMPLETED, half))

    assert [knows(backlog, job) for job in jobs] == [False, True, True]
