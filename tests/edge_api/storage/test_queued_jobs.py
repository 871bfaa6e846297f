"""Rows of the API's own queue: who gets a job, for how long, and how it ends."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, text

from edge_api.services.queue import RETENTION, SEEN, sweep_queue
from edge_api.storage.queue_workers import count_workers, record_seen
from edge_api.storage.queued_jobs import (
    QueuedJob,
    QueueState,
    anything_waits,
    cancel_queued,
    end_overdue,
    enqueue_job,
    find_queued,
    finish_queued,
    lease_job,
    renew_lease,
)
from tests.edge_api.rows import NOW, new_user

LEASE = 60.0
EXECUTION = 300.0
TTL = 3600.0


@pytest.fixture
def user(connection: Connection) -> str:
    return new_user(connection)


def enqueue(connection: Connection, user: str, number: int = 1, now: float = NOW) -> str:
    payload = {"number": number}
    ids = (f"queued_{number}", f"dispatch_{number}")
    job_id = enqueue_job(connection, *ids, user, payload, EXECUTION, TTL, now)
    assert job_id is not None
    return job_id


def lease(connection: Connection, worker: str = "pod-1", now: float = NOW) -> QueuedJob | None:
    return lease_job(connection, worker, f"lease-of-{worker}", LEASE, now)


def find(connection: Connection, job_id: str) -> QueuedJob:
    found = find_queued(connection, job_id)
    assert found is not None
    return found


def test_the_oldest_is_given_out_first_and_once(connection: Connection, user: str) -> None:
    for number in (1, 2):
        enqueue(connection, user, number, NOW + number)
    now = NOW + 10
    assert anything_waits(connection, now)
    leased = [lease(connection, f"pod-{n}", now) for n in range(3)]
    assert [job and job.payload["number"] for job in leased] == [1, 2, None]
    assert not anything_waits(connection, now)
    first = leased[0]
    assert first is not None
    assert (first.state, first.worker, first.lease) == ("IN_PROGRESS", "pod-0", "lease-of-pod-0")
    assert (first.lease_until, first.deadline) == (now + LEASE, now + EXECUTION)


def test_an_attempt_that_is_handed_over_again_is_the_same_job(
    connection: Connection, user: str
) -> None:
    job_id = enqueue(connection, user)
    again = enqueue_job(connection, "queued_2", "dispatch_1", user, {}, EXECUTION, TTL, NOW)
    assert again == job_id
    assert find(connection, job_id).payload == {"number": 1}


def test_nothing_is_queued_for_somebody_who_is_gone(connection: Connection) -> None:
    gone = enqueue_job(connection, "queued_1", "dispatch_1", "user_gone", {}, EXECUTION, TTL, NOW)
    assert gone is None


def test_a_lease_holds_while_it_is_renewed_and_not_beyond_the_deadline(
    connection: Connection, user: str
) -> None:
    job_id = enqueue(connection, user)
    lease(connection)
    for now in (NOW + 50, NOW + 100, NOW + 150, NOW + 200, NOW + 250):
        assert renew_lease(connection, job_id, "lease-of-pod-1", LEASE, now)
    assert not renew_lease(connection, job_id, "lease-of-pod-1", LEASE, NOW + EXECUTION)
    assert end_overdue(connection, NOW + EXECUTION) == 1
    ended = find(connection, job_id)
    assert (ended.state, ended.error) == ("TIMED_OUT", "execution timeout")


def test_a_lease_that_ran_out_ends_the_job_and_is_worth_nothing(
    connection: Connection, user: str
) -> None:
    job_id = enqueue(connection, user)
    lease(connection)
    over = NOW + LEASE
    assert end_overdue(connection, over - 1) == 0
    assert find(connection, job_id).overdue(over)
    assert not renew_lease(connection, job_id, "lease-of-pod-1", LEASE, over)
    assert not finish_queued(connection, job_id, "lease-of-pod-1", {}, None, over)
    assert end_overdue(connection, over) == 1
    ended = find(connection, job_id)
    assert (ended.state, ended.error, ended.lease) == ("FAILED", "worker lost", None)
    assert lease(connection, "pod-2", over) is None, "begun again by itself"


def test_somebody_else_s_lease_is_worth_nothing(connection: Connection, user: str) -> None:
    job_id = enqueue(connection, user)
    lease(connection)
    assert not renew_lease(connection, job_id, "lease-of-pod-2", LEASE, NOW)
    assert not finish_queued(connection, job_id, "lease-of-pod-2", {}, None, NOW)
    assert find(connection, job_id).state is QueueState.IN_PROGRESS


def test_what_nobody_takes_expires(connection: Connection, user: str) -> None:
    job_id = enqueue(connection, user)
    assert lease(connection, now=NOW + TTL) is None
    assert not anything_waits(connection, NOW + TTL)
    assert end_overdue(connection, NOW + TTL) == 1
    ended = find(connection, job_id)
    assert (ended.state, ended.error) == ("TIMED_OUT", "expired in the queue")


@pytest.mark.parametrize(
    ("output", "error", "state"), [({"a": 1}, None, "COMPLETED"), (None, "canary", "FAILED")]
)
def test_a_worker_s_word_counts_once(
    connection: Connection, user: str, output: dict[str, int] | None, error: str | None, state: str
) -> None:
    job_id = enqueue(connection, user)
    lease(connection)
    assert finish_queued(connection, job_id, "lease-of-pod-1", output, error, NOW + 1)
    assert not finish_queued(connection, job_id, "lease-of-pod-1", {"b": 2}, None, NOW + 2)
    ended = find(connection, job_id)
    assert (ended.state, ended.output, ended.error) == (state, output, error)
    assert (ended.began_at, ended.ended_at) == (NOW, NOW + 1)


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_canceled_stays_so(connection: Connection, user: str, begun: bool) -> None:
    job_id = enqueue(connection, user)
    if begun:
        lease(connection)
    assert cancel_queued(connection, job_id, NOW + 1)
    assert cancel_queued(connection, job_id, NOW + 2)
    assert not finish_queued(connection, job_id, "lease-of-pod-1", {}, None, NOW + 3)
    assert lease(connection, now=NOW + 3) is None
    assert (find(connection, job_id).state, find(connection, job_id).ended_at) == (
        "CANCELLED",
        NOW + 1,
    )
    assert not cancel_queued(connection, "queued_nope", NOW)


def test_what_is_over_is_forgotten_in_its_time(connection: Connection, user: str) -> None:
    done, waits = enqueue(connection, user, 1), enqueue(connection, user, 2, NOW + 1)
    lease(connection)
    finish_queued(connection, done, "lease-of-pod-1", {}, None, NOW)
    sweep_queue(connection, NOW + RETENTION)
    assert find_queued(connection, done) is not None
    sweep_queue(connection, NOW + RETENTION + 1)
    assert find_queued(connection, done) is None
    assert find(connection, waits).state is QueueState.IN_QUEUE


def test_workers_count_while_they_are_heard_of(connection: Connection, user: str) -> None:
    enqueue(connection, user)
    lease(connection, "pod-1")
    for worker, seen in (("pod-1", NOW), ("pod-2", NOW), ("pod-3", NOW - SEEN - 1)):
        record_seen(connection, worker, seen)
    record_seen(connection, "pod-2", NOW + 1)
    assert count_workers(connection, NOW - SEEN) == (1, 1)
    sweep_queue(connection, NOW + RETENTION + 1)
    assert count_workers(connection, 0.0) == (1, 0)


@pytest.fixture
def jobs(engine: Engine) -> Generator[list[str]]:
    """Twenty jobs that wait, for everybody to see."""
    with engine.begin() as connection:
        user = new_user(connection)
        ids = [enqueue(connection, user, number, NOW + number / 100) for number in range(20)]
    yield ids
    with engine.begin() as connection:
        live = connection.execute(
            text("SELECT id FROM queued_jobs WHERE state IN ('IN_QUEUE', 'IN_PROGRESS')")
        )
        assert live.all() == []


def test_workers_that_ask_at_once_never_get_the_same(engine: Engine, jobs: list[str]) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> list[str]:
        had: list[str] = []
        barrier.wait(10)
        while True:
            with engine.begin() as connection:
                if engine.dialect.name == "sqlite":  # as the service begins what it writes
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                job = lease(connection, f"pod-{number}", NOW + 1)
            if job is None:
                return had
            had.append(job.id)
            with engine.begin() as connection:
                finish_queued(connection, job.id, f"lease-of-pod-{number}", {}, None, NOW + 1)

    with ThreadPoolExecutor(4) as pool:
        had = [job_id for found in pool.map(work, range(4)) for job_id in found]
    assert sorted(had) == sorted(jobs)
