"""The outbox at work: leases, refusals, retries, and jobs that changed meanwhile."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest
from sqlalchemy import Connection, Engine, text

from edge_api.clients.runpod import (
    RunpodAmbiguous,
    RunpodClient,
    RunpodError,
    RunpodForgotten,
    RunpodRefused,
    RunpodTransient,
)
from edge_api.services.attempts import MAX_TRIES, NOT_DISPATCHED, Policy, resend
from edge_api.services.callbacks import apply_callback
from edge_api.services.dispatch import (
    Dispatcher,
    backoff,
    build_message,
    refuse_dispatch,
)
from edge_api.services.jobs import cancel_owned_job
from edge_api.services.settlement import record_result
from edge_api.settings import Patience, Settings
from edge_api.storage.addresses import open_database
from edge_api.storage.dead_letters import list_dead_letters
from edge_api.storage.dispatches import claim_due, claim_new, record_refused, record_submitted
from edge_api.storage.endpoints import find_breaker
from infra.local.store import ServedStore
from tests.edge_api import rows
from tests.edge_api.rows import NOW
from tests.edge_api.runpod_double import RunpodDouble
from tests.edge_api.service import environment

ENDPOINT = "endpoint1"
LEASE = 60.0
PATIENCE = Patience()


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


PERMANENT = [400, 404, 405, 413, 422]


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(status, text="no") for status in [408, 425, 429]),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("nobody"),
    ],
    ids=repr,
)
def test_what_never_reached_runpod_is_sent_again_later(
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


AMBIGUOUS = [
    *(httpx.Response(status, text="no") for status in [500, 502, 503, 504, 520, 522, 524]),
    httpx.ReadTimeout("slow"),
    httpx.WriteError("cut"),
    httpx.RemoteProtocolError("cut"),
    httpx.Response(200, text="<html>"),
    httpx.Response(200, json={"status": "IN_QUEUE"}),
    httpx.Response(200, json={"id": 5}),
    httpx.Response(200, content=b'{"id": "\xff"}'),
    httpx.Response(200, content=b""),
]


@pytest.mark.parametrize("answer", AMBIGUOUS, ids=repr)
def test_what_runpod_may_have_is_not_sent_twice_blindly(
    engine: Engine, step: StepDispatcher, answer: httpx.Response | httpx.RequestError
) -> None:
    job_id, runpod = queue(engine), RunpodDouble()
    runpod.answers.append(answer)
    step(runpod)
    _make_due(engine)
    step(runpod)
    assert len(runpod.requests) == 1
    with engine.begin() as connection:
        (row,) = rows.dispatches(connection, job_id)
        assert (row["state"], row["tries"], row["strikes"]) == ("uncertain", 1, 0)
        assert rows.credits_of(connection, rows.job(connection, job_id).user_id) == 8


@pytest.mark.parametrize("state", ["submitting", "uncertain"])
def test_without_a_sign_of_life_a_doubtful_attempt_is_replaced(
    connection: Connection, state: str
) -> None:
    job_id = rows.queued(connection, rows.new_user(connection))
    (dispatch,) = claim_new(connection, ENDPOINT, NOW, LEASE, 16)
    if state == "uncertain":
        refuse_dispatch(connection, dispatch, RunpodAmbiguous("502"), ENDPOINT, PATIENCE, NOW)
    grace = {"submitting": LEASE, "uncertain": PATIENCE.uncertain}[state]
    assert claim_due(connection, NOW + grace - 0.1, LEASE, 16) == []
    (doubtful,) = claim_due(connection, NOW + grace, LEASE, 16)
    for _ in range(2):
        resend(connection, doubtful, "no sign of life", NOW + grace)
    found = [
        (row["attempt"], row["state"], row["tries"], row["strikes"])
        for row in rows.dispatches(connection, job_id)
    ]
    assert found == [(1, "superseded", 1, 0), (2, "new", 1, 0)]


def test_a_sign_of_life_ends_the_doubt(connection: Connection) -> None:
    job_id = rows.queued(connection, rows.new_user(connection), 2)
    (dispatch,) = claim_new(connection, ENDPOINT, NOW, LEASE, 16)
    refuse_dispatch(connection, dispatch, RunpodAmbiguous("timeout"), ENDPOINT, PATIENCE, NOW)
    owner = rows.job(connection, job_id)
    result = rows.result(owner, dispatch, 0)
    assert apply_callback(connection, job_id, result, Policy(), NOW + 9)
    (row,) = rows.dispatches(connection, job_id)
    assert (row["state"], row["runpod_job_id"]) == ("submitted", result.runpod_job_id)
    assert (row["endpoint_id"], row["submitted_at"]) == (ENDPOINT, NOW + 9)
    assert row["lease_until"] == NOW + 9 + PATIENCE.stall
    (asked,) = claim_due(connection, NOW + 1000, LEASE, 16)
    resend(connection, msgspec.structs.replace(asked, state=dispatch.state), "late", NOW + 9)
    assert rows.newest(connection, job_id).attempt == 2, "only a claim that saw the doubt acts"


def test_a_doubt_that_never_ends_is_given_up(connection: Connection) -> None:
    job_id, now = rows.queued(connection, rows.new_user(connection)), NOW
    for number in range(1, MAX_TRIES + 1):
        (dispatch,) = claim_new(connection, ENDPOINT, now, LEASE, 16)
        assert (dispatch.attempt, dispatch.tries) == (number, number)
        refuse_dispatch(connection, dispatch, RunpodAmbiguous("502"), ENDPOINT, PATIENCE, now)
        now += 1000
        (doubtful,) = claim_due(connection, now, LEASE, 16)
        resend(connection, doubtful, "no sign of life", now)
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.refunded) == ("failed", 2)
    (letter,) = list_dead_letters(connection)
    assert (letter.job_id, letter.indices) == (job_id, [0, 1])
    assert (letter.code, letter.state) == (NOT_DISPATCHED.code, "open")


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_stops_everything_and_loses_nothing(
    engine: Engine, step: StepDispatcher, status: int
) -> None:
    jobs, runpod = [queue(engine, 1) for _ in range(3)], RunpodDouble()
    runpod.answers.extend([httpx.Response(status)] * 3)
    step(runpod)
    _make_due(engine)
    step(runpod)
    assert len(runpod.requests) == 3, "the endpoint is left alone"
    with engine.begin() as connection:
        for job in jobs:
            (row,) = rows.dispatches(connection, job)
            assert (row["state"], row["tries"]) == ("new", 0)
        connection.execute(text("UPDATE endpoints SET open_until = 0"))
    step(runpod)
    assert len(runpod.requests) == 4, "one tries whether the key was mended"
    step(runpod)
    assert len(runpod.runs) == 3


def test_an_endpoint_in_trouble_is_tried_with_one_job(engine: Engine, step: StepDispatcher) -> None:
    for _ in range(6):
        queue(engine, 1)
    runpod = RunpodDouble()
    runpod.answers.extend([httpx.Response(429)] * 6)
    step(runpod)
    _make_due(engine)
    assert step(runpod) is False
    assert len(runpod.requests) == 6
    runpod.answers.append(httpx.Response(429))
    with engine.begin() as connection:
        connection.execute(text("UPDATE endpoints SET open_until = 0"))
    step(runpod)
    step(runpod)
    assert len(runpod.requests) == 7
    with engine.begin() as connection:
        breaker = find_breaker(connection, ENDPOINT)
        assert breaker.failures == 7
        assert time.time() + 20 < breaker.open_until < time.time() + 31
        connection.execute(text("UPDATE endpoints SET open_until = 0"))
    _make_due(engine)
    step(runpod)
    step(runpod)
    assert len(runpod.runs) == 6
    with engine.begin() as connection:
        assert find_breaker(connection, ENDPOINT).failures == 0


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
    runpod.answers += [httpx.Response(429), httpx.Response(400)]
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
        (dispatch,) = claim_new(connection, ENDPOINT, NOW, LEASE, 16)
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
        assert build_message(connection, dispatch, settings) is None


def test_claims_take_the_longest_waiting_first_and_no_row_twice(connection: Connection) -> None:
    user = rows.new_user(connection, rows.Plan.PRO)
    jobs = [rows.queued(connection, user, 1, NOW - age) for age in (10, 30, 20)]
    claimed = [claim_new(connection, ENDPOINT, NOW, LEASE, 1)[0].job_id for _ in jobs]
    assert claimed == [jobs[1], jobs[2], jobs[0]]
    assert claim_new(connection, ENDPOINT, NOW, LEASE, 1) == []


def test_nothing_is_claimed_before_its_time(connection: Connection) -> None:
    rows.queued(connection, rows.new_user(connection))
    assert claim_new(connection, ENDPOINT, NOW - 0.1, LEASE, 16) == []


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
    (dispatch,) = claim_new(connection, ENDPOINT, NOW, LEASE, 16)
    cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
    record_submitted(connection, dispatch.id, "rp-late", NOW + 3, NOW + 8, NOW + 99)
    row = rows.newest(connection, job_id)
    assert (row.state, row.runpod_job_id) == ("canceling", "rp-late")


def test_a_refusal_that_comes_after_a_cancel_changes_nothing(
    connection: Connection, settings: Settings
) -> None:
    job_id = rows.queued(connection, rows.new_user(connection))
    (dispatch,) = claim_new(connection, ENDPOINT, NOW, LEASE, 16)
    user = rows.job(connection, job_id).user_id
    cancel_owned_job(connection, user, job_id, NOW)
    before = rows.dispatches(connection, job_id)
    record_refused(connection, dispatch.id, "late", NOW + 3)
    refuse_dispatch(connection, dispatch, RunpodRefused("late"), ENDPOINT, PATIENCE, NOW)
    assert rows.dispatches(connection, job_id) == before
    assert rows.credits_of(connection, user) == 10


@pytest.mark.parametrize("error", [RunpodRefused("400"), RunpodForgotten("404")])
def test_a_refusal_refunds_only_what_is_not_done(
    connection: Connection, error: RunpodError
) -> None:
    job_id = rows.queued(connection, rows.new_user(connection), 3)
    (dispatch,) = claim_new(connection, ENDPOINT, NOW, LEASE, 16)
    owner = rows.job(connection, job_id)
    assert record_result(connection, job_id, rows.result(owner, dispatch, 0), NOW)
    refuse_dispatch(connection, dispatch, error, ENDPOINT, PATIENCE, NOW)
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.done_items, owner.refunded) == ("done", 1, 2)


def test_tries_come_to_an_end(connection: Connection) -> None:
    job_id = rows.queued(connection, rows.new_user(connection))
    now = NOW
    for number in range(1, MAX_TRIES + 1):
        (dispatch,) = claim_new(connection, ENDPOINT, now, LEASE, 16)
        assert dispatch.tries == number
        refuse_dispatch(connection, dispatch, RunpodTransient("429"), ENDPOINT, PATIENCE, now)
        now += 1000
    assert claim_new(connection, ENDPOINT, now, LEASE, 16) == []
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.refunded) == ("failed", 2)


def test_waits_double_up_to_a_minute_and_vary() -> None:
    for tries, seconds in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (12, 60)]:
        waits = [backoff(tries) for _ in range(200)]
        assert seconds * 0.8 <= min(waits) < max(waits) <= seconds * 1.2
        assert max(waits) - min(waits) > seconds * 0.1
