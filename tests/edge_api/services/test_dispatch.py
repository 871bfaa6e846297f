"""The outbox at work: leases, refusals, retries, and jobs that changed meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import Connection, Engine

from edge_api.clients.runpod import (
    RunpodClient,
    RunpodError,
    RunpodForgotten,
    RunpodRefused,
    RunpodTransient,
)
from edge_api.services.dispatch import (
    LEASE,
    MAX_TRIES,
    Dispatcher,
    backoff,
    build_message,
    refuse_dispatch,
)
from edge_api.services.jobs import cancel_owned_job
from edge_api.services.settlement import record_result
from edge_api.settings import Settings
from edge_api.storage.addresses import open_database
from edge_api.storage.dispatches import claim_new, record_refused, record_submitted
from infra.local.store import ServedStore
from tests.edge_api import rows
from tests.edge_api.rows import NOW
from tests.edge_api.runpod_double import RunpodDouble
from tests.edge_api.service import environment


@pytest.fixture
def settings(store: ServedStore, database_url: str) -> Settings:
    return Settings.from_env(environment(store, database_url))


StepDispatcher = Callable[[RunpodDouble], bool]


@pytest.fixture
def step(settings: Settings, engine: Engine) -> StepDispatcher:
    """One step of a dispatcher on the test's database."""

    async def run(runpod: RunpodDouble) -> bool:
        database = open_database(settings.database_url.reveal())
        client = RunpodClient(settings.runpod_base_url, "key", transport=runpod.transport)
        try:
            return await Dispatcher(database, client, settings).step()
        finally:
            await client.close()
            await database.close()

    return lambda runpod: asyncio.run(run(runpod))


def queue(engine: Engine, count: int = 2) -> str:
    with engine.begin() as connection:
        return rows.queued(connection, rows.new_user(connection), count)


def test_a_job_is_handed_over_once(engine: Engine, step: StepDispatcher) -> None:
    job_id, runpod = queue(engine), RunpodDouble()
    assert step(runpod) is False
    assert step(runpod) is False
    (message,) = runpod.runs_of(job_id)
    with engine.begin() as connection:
        (row,) = rows.dispatches(connection, job_id)
        assert rows.job(connection, job_id).status == "queued"
    assert row["state"] == "submitted"
    assert (row["runpod_job_id"], row["endpoint_id"]) == (runpod.runpod_id(message), "endpoint1")
    assert row["tries"] == 1


def test_a_full_batch_says_that_there_may_be_more(engine: Engine, step: StepDispatcher) -> None:
    jobs = [queue(engine, 1) for _ in range(17)]
    runpod = RunpodDouble()
    assert step(runpod) is True
    assert step(runpod) is False
    assert sorted(run["input"]["job_id"] for run in runpod.runs) == sorted(jobs)


def test_dispatchers_side_by_side_send_every_job_once(engine: Engine, step: StepDispatcher) -> None:
    jobs = [queue(engine, 1) for _ in range(12)]
    runpod = RunpodDouble()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(step, [runpod] * 4))
    assert sorted(run["input"]["job_id"] for run in runpod.runs) == sorted(jobs)


TRANSIENT = [401, 403, 408, 425, 429, 500, 502, 503, 504, 520, 522, 524]
PERMANENT = [400, 404, 405, 413, 422]


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(status, text="no") for status in TRANSIENT),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"status": "IN_QUEUE"}),
        httpx.Response(200, json={"id": 5}),
        httpx.Response(200, content=b'{"id": "\xff"}'),
        httpx.Response(200, content=b""),
    ],
    ids=repr,
)
def test_a_passing_trouble_is_tried_again_later(
    engine: Engine, step: StepDispatcher, answer: httpx.Response | httpx.RequestError
) -> None:
    job_id, runpod = queue(engine), RunpodDouble()
    runpod.answers.append(answer)
    step(runpod)
    with engine.begin() as connection:
        (row,) = rows.dispatches(connection, job_id)
        owner = rows.job(connection, job_id)
        assert rows.credits_of(connection, owner.user_id) == 8
    assert (row["state"], row["tries"], owner.status) == ("new", 1, "queued")
    assert row["last_error"]
    step(runpod)
    assert len(runpod.requests) == 1, "it waits before it tries again"
    _make_due(engine)
    step(runpod)
    assert len(runpod.runs_of(job_id)) == 1
    with engine.begin() as connection:
        assert rows.dispatches(connection, job_id)[0]["state"] == "submitted"


def _make_due(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE dispatches SET next_at = 0")


@pytest.mark.parametrize("status", PERMANENT)
def test_a_refusal_ends_the_job_and_refunds_it(
    engine: Engine, step: StepDispatcher, status: int
) -> None:
    job_id, runpod = queue(engine), RunpodDouble()
    runpod.answers.append(httpx.Response(status, text="canary of the body"))
    step(runpod)
    with engine.begin() as connection:
        (row,) = rows.dispatches(connection, job_id)
        owner = rows.job(connection, job_id)
        assert (owner.status, owner.refunded, owner.failed_items) == ("failed", 2, 2)
        assert rows.credits_of(connection, owner.user_id) == 10
    assert row["state"] == "ended"
    assert str(status) in row["last_error"]
    assert "canary" not in row["last_error"]
    _make_due(engine)
    step(runpod)
    assert len(runpod.requests) == 1


def test_one_job_s_trouble_is_not_another_s(engine: Engine, step: StepDispatcher) -> None:
    jobs = [queue(engine, 1) for _ in range(3)]
    runpod = RunpodDouble()
    runpod.answers += [httpx.Response(503), httpx.Response(400)]
    step(runpod)
    with engine.begin() as connection:
        states = sorted(rows.dispatches(connection, job)[0]["state"] for job in jobs)
    assert states == ["ended", "new", "submitted"]


def test_a_job_canceled_before_its_turn_is_not_sent(engine: Engine, step: StepDispatcher) -> None:
    job_id, runpod = queue(engine), RunpodDouble()
    with engine.begin() as connection:
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
    step(runpod)
    assert runpod.requests == []


def test_a_lease_that_was_canceled_meanwhile_ends_without_a_call(
    engine: Engine, settings: Settings
) -> None:
    job_id = queue(engine)
    with engine.begin() as connection:
        (dispatch,) = claim_new(connection, NOW, LEASE, 16)
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
        assert build_message(connection, dispatch, settings) is None


def test_a_dispatcher_that_died_is_taken_over_after_its_lease(connection: Connection) -> None:
    job_id = rows.queued(connection, rows.new_user(connection))
    (first,) = claim_new(connection, NOW, LEASE, 16)
    assert (first.state, first.tries) == ("submitting", 1)
    assert claim_new(connection, NOW + LEASE - 0.1, LEASE, 16) == []
    (second,) = claim_new(connection, NOW + LEASE, LEASE, 16)
    assert (second.id, second.tries) == (first.id, 2)
    assert claim_new(connection, NOW + LEASE, LEASE, 16) == []
    assert len(rows.dispatches(connection, job_id)) == 1


def test_claims_take_the_longest_waiting_first_and_no_row_twice(connection: Connection) -> None:
    user = rows.new_user(connection, rows.Plan.PRO)
    jobs = [rows.queued(connection, user, 1, NOW - age) for age in (10, 30, 20)]
    claimed = [claim_new(connection, NOW, LEASE, 1)[0].job_id for _ in jobs]
    assert claimed == [jobs[1], jobs[2], jobs[0]]
    assert claim_new(connection, NOW, LEASE, 1) == []


def test_nothing_is_claimed_before_its_time(connection: Connection) -> None:
    rows.queued(connection, rows.new_user(connection))
    assert claim_new(connection, NOW - 0.1, LEASE, 16) == []


def test_the_message_holds_only_the_items_that_are_missing(
    connection: Connection, settings: Settings
) -> None:
    job_id, dispatch = rows.submitted(connection, 3)
    owner = rows.job(connection, job_id)
    assert record_result(connection, job_id, rows.result(owner, dispatch, 1), NOW)
    message = build_message(connection, dispatch, settings)
    assert message is not None
    assert [item.idx for item in message.items] == [0, 2]


def test_an_answer_that_comes_after_a_cancel_still_tells_what_to_cancel(
    connection: Connection,
) -> None:
    job_id = rows.queued(connection, rows.new_user(connection))
    (dispatch,) = claim_new(connection, NOW, LEASE, 16)
    cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
    record_submitted(connection, dispatch.id, "endpoint1", "rp-late", NOW + 3, NOW + 8)
    row = rows.newest(connection, job_id)
    assert (row.state, row.runpod_job_id) == ("canceling", "rp-late")


def test_a_refusal_that_comes_after_a_cancel_changes_nothing(connection: Connection) -> None:
    job_id = rows.queued(connection, rows.new_user(connection))
    (dispatch,) = claim_new(connection, NOW, LEASE, 16)
    user = rows.job(connection, job_id).user_id
    cancel_owned_job(connection, user, job_id, NOW)
    before = rows.dispatches(connection, job_id)
    record_refused(connection, dispatch.id, "late", NOW + 3)
    refuse_dispatch(connection, dispatch, RunpodRefused("late"), NOW)
    assert rows.dispatches(connection, job_id) == before
    assert rows.credits_of(connection, user) == 10


@pytest.mark.parametrize("error", [RunpodRefused("400"), RunpodForgotten("404")])
def test_a_refusal_refunds_only_what_is_not_done(
    connection: Connection, error: RunpodError
) -> None:
    job_id = rows.queued(connection, rows.new_user(connection), 3)
    (dispatch,) = claim_new(connection, NOW, LEASE, 16)
    owner = rows.job(connection, job_id)
    assert record_result(connection, job_id, rows.result(owner, dispatch, 0), NOW)
    refuse_dispatch(connection, dispatch, error, NOW)
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.done_items, owner.refunded) == ("done", 1, 2)


def test_tries_come_to_an_end(connection: Connection) -> None:
    job_id = rows.queued(connection, rows.new_user(connection))
    now = NOW
    for number in range(1, MAX_TRIES + 1):
        (dispatch,) = claim_new(connection, now, LEASE, 16)
        assert dispatch.tries == number
        refuse_dispatch(connection, dispatch, RunpodTransient("503"), now)
        now += 1000
    assert claim_new(connection, now, LEASE, 16) == []
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.refunded) == ("failed", 2)


def test_waits_double_up_to_a_minute_and_vary() -> None:
    for tries, seconds in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (12, 60)]:
        waits = [backoff(tries) for _ in range(200)]
        assert seconds * 0.8 <= min(waits) < max(waits) <= seconds * 1.2
        assert max(waits) - min(waits) > seconds * 0.1
