"""What `/status` says: results taken over, lost attempts replaced, the last one refunded."""

import asyncio
import time
from collections.abc import Callable

import httpx
import msgspec
import pytest
from sqlalchemy import Connection, Engine, text

from edge_api.clients.runpod import RunpodClient, RunpodJob, RunpodStatus
from edge_api.services.attempts import Policy, apply_status
from edge_api.services.callbacks import apply_callback
from edge_api.services.dispatch import build_message
from edge_api.services.jobs import cancel_owned_job
from edge_api.services.reconcile import Reconciler
from edge_api.services.settlement import record_result
from edge_api.settings import Settings
from edge_api.storage.addresses import open_database
from edge_api.storage.dead_letters import list_dead_letters
from edge_api.storage.dispatches import Dispatch, claim_due, claim_new, record_submitted
from infra.local.store import ServedStore
from shared.messages import ItemError, ItemStatus
from tests.edge_api import rows
from tests.edge_api.rows import NOW
from tests.edge_api.runpod_double import RunpodDouble
from tests.edge_api.service import environment

LEASE = 60.0
CANCEL_GRACE = Policy().patience.cancel
FAILED = ItemStatus.FAILED
LOST = [RunpodStatus.FAILED, RunpodStatus.TIMED_OUT, RunpodStatus.CANCELLED]


def status(connection: Connection, dispatch: Dispatch, answer: RunpodJob, now: float = NOW) -> None:
    apply_status(connection, dispatch, answer, Policy(), now)


def states(connection: Connection, job_id: str) -> list[tuple[int, str]]:
    return [(row["attempt"], row["state"]) for row in rows.dispatches(connection, job_id)]


def test_a_job_in_the_queue_is_asked_about_again(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection)
    status(connection, dispatch, RunpodJob(RunpodStatus.IN_QUEUE))
    assert rows.job(connection, job_id).status == "queued"
    assert states(connection, job_id) == [(1, "submitted")]


@pytest.mark.parametrize("said", [RunpodStatus.IN_PROGRESS, RunpodStatus.RUNNING])
def test_the_first_sign_of_work_makes_a_job_running(
    connection: Connection, said: RunpodStatus
) -> None:
    job_id, dispatch = rows.submitted(connection)
    status(connection, dispatch, RunpodJob(said), NOW + 3)
    status(connection, dispatch, RunpodJob(said), NOW + 9)
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.started_at) == ("running", NOW + 3)


@pytest.mark.parametrize(("age", "pause"), [(0, 2), (5, 2), (50, 10), (250, 50), (4000, 60)])
def test_the_older_a_job_the_rarer_it_is_asked_about(
    connection: Connection, age: float, pause: float
) -> None:
    job_id, dispatch = rows.submitted(connection)
    status(connection, dispatch, RunpodJob(RunpodStatus.IN_PROGRESS), NOW + age)
    assert rows.dispatches(connection, job_id)[0]["next_at"] == NOW + age + pause


def test_the_output_stands_in_for_lost_callbacks(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection, 3)
    owner = rows.job(connection, job_id)
    results = [rows.result(owner, dispatch, 0), rows.result(owner, dispatch, 1, FAILED)]
    assert record_result(connection, job_id, rows.result(owner, dispatch, 2), NOW)
    status(connection, dispatch, rows.completed(dispatch, *results))
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.done_items, owner.failed_items) == ("done", 2, 1)
    assert owner.refunded == 1
    assert states(connection, job_id) == [(1, "ended")]


def test_the_output_does_not_change_what_a_callback_said(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection, 2)
    owner = rows.job(connection, job_id)
    assert record_result(connection, job_id, rows.result(owner, dispatch, 0, FAILED), NOW)
    both = [rows.result(owner, dispatch, idx) for idx in range(2)]
    status(connection, dispatch, rows.completed(dispatch, *both))
    owner = rows.job(connection, job_id)
    assert (owner.done_items, owner.failed_items, owner.refunded) == (1, 1, 1)


def test_an_output_without_some_items_leads_to_an_attempt_for_those(
    connection: Connection, store: ServedStore
) -> None:
    job_id, dispatch = rows.submitted(connection, 3)
    owner = rows.job(connection, job_id)
    done = rows.result(owner, dispatch, 1)
    status(connection, dispatch, rows.completed(dispatch, done, stopped="shutdown"))
    assert rows.job(connection, job_id).status == "running"
    assert states(connection, job_id) == [(1, "superseded"), (2, "new")]
    settings = Settings.from_env(environment(store, "sqlite:///unused"))
    message = build_message(connection, rows.newest(connection, job_id), settings)
    assert message is not None
    assert message.attempt == 2
    assert message.dispatch_id != dispatch.id
    assert [item.idx for item in message.items] == [0, 2]


def _foreign_outputs(connection: Connection, dispatch: Dispatch) -> dict[str, RunpodJob]:
    owner = rows.job(connection, dispatch.job_id)
    good = rows.result(owner, dispatch, 0)
    other = msgspec.structs.replace(dispatch, id="dispatch_other")
    later = msgspec.structs.replace(dispatch, attempt=2)
    replace = msgspec.structs.replace
    return {
        "another dispatch": rows.completed(dispatch, rows.result(owner, other, 0)),
        "another attempt": rows.completed(dispatch, rows.result(owner, later, 0)),
        "another key": rows.completed(dispatch, replace(good, output_key="outputs/u/j/0.png")),
        "no keys": rows.completed(dispatch, replace(good, output_key=None)),
        "an item too many": rows.completed(dispatch, rows.result(owner, dispatch, 2)),
        "an item below": rows.completed(dispatch, replace(good, idx=-1)),
        "another item's key": rows.completed(dispatch, replace(good, idx=1)),
        "an error in its place": RunpodJob(
            RunpodStatus.COMPLETED, msgspec.Raw(b'{"error": "Traceback ..."}')
        ),
        "null": RunpodJob(RunpodStatus.COMPLETED),
        "text": RunpodJob(RunpodStatus.COMPLETED, msgspec.Raw(b'"done"')),
        "bytes": RunpodJob(RunpodStatus.COMPLETED, msgspec.Raw(b'{"job_id": "\xff"}')),
        "nested": RunpodJob(RunpodStatus.COMPLETED, msgspec.Raw(b'{"x": ' + b"[" * 100_000)),
    }


def test_an_output_that_is_not_this_attempt_s_counts_for_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        _, first = rows.submitted(connection)
        names = list(_foreign_outputs(connection, first))
    for name in names:
        with engine.begin() as connection:
            job_id, dispatch = rows.submitted(connection)
            status(connection, dispatch, _foreign_outputs(connection, dispatch)[name])
            owner = rows.job(connection, job_id)
            assert (owner.done_items, owner.failed_items) == (0, 0), name
            assert states(connection, job_id) == [(1, "superseded"), (2, "new")], name


@pytest.mark.parametrize("said", LOST)
def test_a_lost_attempt_is_replaced_and_the_third_refunds(
    connection: Connection, said: RunpodStatus
) -> None:
    job_id, dispatch = rows.submitted(connection, 3)
    owner = rows.job(connection, job_id)
    assert record_result(connection, job_id, rows.result(owner, dispatch, 0), NOW)
    status(connection, dispatch, RunpodJob(said))
    second = rows.submit(connection, job_id)
    status(connection, second, RunpodJob(said))
    third = rows.submit(connection, job_id)
    assert rows.job(connection, job_id).status == "running"
    status(connection, third, RunpodJob(said))
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.done_items, owner.failed_items) == ("done", 1, 2)
    assert rows.credits_of(connection, owner.user_id) == 9
    assert [attempt for attempt, _ in states(connection, job_id)] == [1, 2, 3]
    errors = connection.exec_driver_sql("SELECT error FROM items WHERE status = 'failed'")
    assert all("WORKER_LOST" in str(error) for error in errors.scalars())


def test_a_job_of_which_nothing_came_back_has_failed(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection)
    for _ in range(2):
        status(connection, dispatch, RunpodJob(RunpodStatus.FAILED))
        dispatch = rows.submit(connection, job_id)
    status(connection, dispatch, RunpodJob(RunpodStatus.FAILED))
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.refunded) == ("failed", 2)


@pytest.mark.parametrize("said", [*LOST, RunpodStatus.COMPLETED])
def test_the_same_news_twice_makes_one_attempt(connection: Connection, said: RunpodStatus) -> None:
    job_id, dispatch = rows.submitted(connection)
    for _ in range(3):
        status(connection, dispatch, RunpodJob(said))
    assert states(connection, job_id) == [(1, "superseded"), (2, "new")]
    assert rows.job(connection, job_id).refunded == 0


@pytest.mark.parametrize("said", list(RunpodStatus))
def test_news_of_a_canceled_job_change_nothing(connection: Connection, said: RunpodStatus) -> None:
    job_id, dispatch = rows.submitted(connection)
    owner = rows.job(connection, job_id)
    cancel_owned_job(connection, owner.user_id, job_id, NOW)
    before = rows.job(connection, job_id)
    result = rows.result(owner, dispatch, 0)
    answer = msgspec.structs.replace(rows.completed(dispatch, result), status=said)
    status(connection, dispatch, answer)
    assert rows.job(connection, job_id) == before
    assert states(connection, job_id) == [(1, "canceling")]


@pytest.mark.parametrize("said", [RunpodStatus.IN_QUEUE, RunpodStatus.IN_PROGRESS])
def test_an_answer_on_its_way_does_not_put_a_cancel_off(
    connection: Connection, said: RunpodStatus
) -> None:
    job_id, _ = rows.submitted(connection)
    (asked,) = claim_due(connection, NOW + 300, LEASE, 10)
    user = rows.job(connection, job_id).user_id
    cancel_owned_job(connection, user, job_id, NOW + 301)
    status(connection, asked, RunpodJob(said), NOW + 302)
    (due,) = claim_due(connection, NOW + 302, LEASE, 10)
    assert due.state == "canceling"


def test_rows_are_asked_about_when_due_and_leased_meanwhile(connection: Connection) -> None:
    _, dispatch = rows.submitted(connection)
    assert claim_due(connection, NOW + 4.9, LEASE, 10) == []
    assert [d.id for d in claim_due(connection, NOW + 5, LEASE, 10)] == [dispatch.id]
    assert claim_due(connection, NOW + 5 + LEASE - 0.1, LEASE, 10) == []
    assert [d.id for d in claim_due(connection, NOW + 5 + LEASE, LEASE, 10)] == [dispatch.id]


StepReconciler = Callable[[RunpodDouble], None]


@pytest.fixture
def step(store: ServedStore, database_url: str) -> StepReconciler:
    """One step of a reconciler on the test's database."""
    settings = Settings.from_env(environment(store, database_url))

    async def run(runpod: RunpodDouble) -> None:
        database = open_database(settings.database_url.reveal())
        client = RunpodClient(settings.runpod_base_url, "key", transport=runpod.transport)
        try:
            await Reconciler(database, client, Policy()).step()
        finally:
            await client.close()
            await database.close()

    return lambda runpod: asyncio.run(run(runpod))


def one_submitted(engine: Engine, count: int = 2) -> tuple[str, Dispatch]:
    with engine.begin() as connection:
        return rows.submitted(connection, count)


def test_a_job_that_runpod_forgot_is_sent_again(engine: Engine, step: StepReconciler) -> None:
    job_id, dispatch = one_submitted(engine)
    runpod = RunpodDouble()
    runpod.forget(f"rp-{dispatch.id}")
    step(runpod)
    assert [r.url.path for r in runpod.requests] == [f"/v2/endpoint1/status/rp-{dispatch.id}"]
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "superseded"), (2, "new")]
        assert rows.dispatches(connection, job_id)[0]["last_error"] == "forgotten"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(429),
        httpx.Response(401),
        httpx.Response(400),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b"\xff"),
        httpx.Response(200, json={"status": "SOMETHING_NEW"}),
        httpx.Response(200, json={}),
    ],
    ids=repr,
)
def test_an_answer_that_says_nothing_changes_nothing(
    engine: Engine, step: StepReconciler, answer: httpx.Response
) -> None:
    job_id, dispatch = one_submitted(engine)
    runpod = RunpodDouble()
    runpod.statuses[f"rp-{dispatch.id}"] = answer
    step(runpod)
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "submitted")]
        assert rows.job(connection, job_id).status == "queued"


def test_one_row_s_trouble_is_not_another_s(engine: Engine, step: StepReconciler) -> None:
    (_, first), (job_id, second) = one_submitted(engine), one_submitted(engine)
    runpod = RunpodDouble()
    runpod.statuses[f"rp-{first.id}"] = httpx.Response(500)
    runpod.tell(f"rp-{second.id}", "IN_PROGRESS")
    step(runpod)
    with engine.begin() as connection:
        assert rows.job(connection, job_id).status == "running"


def test_runpod_is_told_of_a_cancel_once(engine: Engine, step: StepReconciler) -> None:
    job_id, dispatch = one_submitted(engine)
    with engine.begin() as connection:
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
    runpod = RunpodDouble()
    step(runpod)
    step(runpod)
    assert runpod.canceled == [f"rp-{dispatch.id}"]
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "ended")]


@pytest.mark.parametrize("grace_over", [False, True])
def test_a_cancel_waits_for_the_id_that_a_submit_may_still_bring(
    engine: Engine, step: StepReconciler, grace_over: bool
) -> None:
    canceled_at = time.time() - (CANCEL_GRACE + 10 if grace_over else 0)
    with engine.begin() as connection:
        job_id = rows.queued(connection, rows.new_user(connection))
        claim_new(connection, "endpoint1", NOW, LEASE, 10)
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, canceled_at)
    runpod = RunpodDouble()
    step(runpod)
    assert runpod.requests == []
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "ended" if grace_over else "canceling")]


def test_a_job_submitted_after_its_cancel_is_canceled_too(
    engine: Engine, step: StepReconciler
) -> None:
    with engine.begin() as connection:
        job_id = rows.queued(connection, rows.new_user(connection))
        (dispatch,) = claim_new(connection, "endpoint1", NOW, LEASE, 10)
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
        record_submitted(connection, dispatch.id, "rp-late", NOW, NOW, NOW + 99)
    runpod = RunpodDouble()
    step(runpod)
    assert runpod.canceled == ["rp-late"]


def test_a_cancel_that_runpod_does_not_take_is_repeated(
    engine: Engine, step: StepReconciler
) -> None:
    job_id, dispatch = one_submitted(engine)
    with engine.begin() as connection:
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
    down = RunpodDouble()
    down.transport = httpx.MockTransport(lambda _: httpx.Response(500))
    step(down)
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "canceling")]
        connection.exec_driver_sql("UPDATE dispatches SET next_at = 0")
    runpod = RunpodDouble()
    step(runpod)
    assert runpod.canceled == [f"rp-{dispatch.id}"]


def test_nothing_left_to_cancel_is_the_end_of_it(engine: Engine, step: StepReconciler) -> None:
    job_id, _ = one_submitted(engine)
    with engine.begin() as connection:
        cancel_owned_job(connection, rows.job(connection, job_id).user_id, job_id, NOW)
    gone = RunpodDouble()
    gone.transport = httpx.MockTransport(lambda _: httpx.Response(404))
    step(gone)
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "ended")]


def test_a_lease_begins_long_and_shrinks_with_the_first_sign_of_life(
    connection: Connection,
) -> None:
    job_id, dispatch = rows.submitted(connection)
    stall = Policy().patience.stall

    def lease() -> tuple[float, float]:
        row = rows.dispatches(connection, job_id)[0]
        return row["lease_until"], row["begun_at"]

    status(connection, dispatch, RunpodJob(RunpodStatus.IN_QUEUE), NOW + 1)
    assert lease() == (rows.FOREVER, None)
    status(connection, dispatch, RunpodJob(RunpodStatus.IN_PROGRESS), NOW + 3)
    status(connection, dispatch, RunpodJob(RunpodStatus.IN_PROGRESS), NOW + 9)
    assert lease() == (NOW + 3 + stall, NOW + 3), "only a photo makes it longer"
    owner = rows.job(connection, job_id)
    result = rows.result(owner, dispatch, 0)
    assert apply_callback(connection, job_id, result, Policy(), NOW + 50)
    assert lease() == (NOW + 50 + stall, NOW + 3)


def _leased(engine: Engine, **columns: object) -> tuple[str, Dispatch]:
    job_id, dispatch = one_submitted(engine)
    sets = ", ".join(f"{name} = :{name}" for name in columns)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE dispatches SET {sets}"), columns)
    return job_id, dispatch


def test_a_worker_that_reports_nothing_any_more_is_given_up(
    engine: Engine, step: StepReconciler
) -> None:
    job_id, dispatch = _leased(engine, lease_until=NOW, begun_at=NOW)
    runpod = RunpodDouble()
    runpod.tell(f"rp-{dispatch.id}", "IN_PROGRESS")
    step(runpod)
    assert runpod.canceled == [f"rp-{dispatch.id}"]
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "superseded"), (2, "new")]
        assert rows.dispatches(connection, job_id)[0]["last_error"] == "stalled"


def test_a_begun_job_that_waits_again_is_sent_again(engine: Engine, step: StepReconciler) -> None:
    job_id, dispatch = _leased(engine, lease_until=NOW, begun_at=NOW)
    runpod = RunpodDouble()
    runpod.tell(f"rp-{dispatch.id}", "IN_QUEUE")
    step(runpod)
    with engine.begin() as connection:
        assert states(connection, job_id) == [(1, "superseded"), (2, "new")]


def test_a_job_that_no_worker_ever_began_is_refunded(engine: Engine, step: StepReconciler) -> None:
    job_id, dispatch = _leased(engine, lease_until=NOW)
    runpod = RunpodDouble()
    runpod.tell(f"rp-{dispatch.id}", "IN_QUEUE")
    step(runpod)
    assert runpod.canceled == [f"rp-{dispatch.id}"]
    with engine.begin() as connection:
        owner = rows.job(connection, job_id)
        assert (owner.status, owner.refunded) == ("failed", 2)
        (letter,) = list_dead_letters(connection)
        assert (letter.code, letter.reason) == ("NO_WORKER", "never begun")


@pytest.mark.parametrize("workers", [{"idle": 1}, {"throttled": 2}])
def test_a_job_stuck_in_the_queue(
    engine: Engine, step: StepReconciler, workers: dict[str, int]
) -> None:
    """With workers about it is sent again; without it waits on."""
    job_id, dispatch = one_submitted(engine)  # submitted years ago
    runpod = RunpodDouble()
    runpod.tell(f"rp-{dispatch.id}", "IN_QUEUE")
    runpod.workers = workers
    step(runpod)
    with engine.begin() as connection:
        found = states(connection, job_id)
    usable = "idle" in workers
    assert found == ([(1, "superseded"), (2, "new")] if usable else [(1, "submitted")])
    assert runpod.canceled == ([f"rp-{dispatch.id}"] if usable else [])


def test_a_job_that_kills_its_workers_is_taken_from_runpod(
    engine: Engine, step: StepReconciler
) -> None:
    job_id, dispatch = one_submitted(engine)
    runpod = RunpodDouble()
    answer = {"id": f"rp-{dispatch.id}", "status": "IN_PROGRESS", "retries": 2}
    runpod.statuses[f"rp-{dispatch.id}"] = httpx.Response(200, json=answer)
    step(runpod)
    assert runpod.canceled == [f"rp-{dispatch.id}"]
    with engine.begin() as connection:
        assert rows.newest(connection, job_id).strikes == 1


def test_what_may_pass_is_tried_again_with_only_what_is_missing(
    connection: Connection, store: ServedStore
) -> None:
    job_id, dispatch = rows.submitted(connection, 3)
    owner = rows.job(connection, job_id)
    passing = ItemError("STORAGE_UNAVAILABLE", "Try again.", True)
    failed = msgspec.structs.replace(rows.result(owner, dispatch, 0, FAILED), error=passing)
    assert apply_callback(connection, job_id, failed, Policy(), NOW) is False
    results = [failed, rows.result(owner, dispatch, 1), rows.result(owner, dispatch, 2, FAILED)]
    status(connection, dispatch, rows.completed(dispatch, *results))
    settings = Settings.from_env(environment(store, "sqlite:///unused"))
    for attempt in (2, 3):
        again = rows.submit(connection, job_id)
        message = build_message(connection, again, settings)
        assert message is not None
        assert (again.attempt, [item.idx for item in message.items]) == (attempt, [0])
        failed = msgspec.structs.replace(rows.result(owner, again, 0, FAILED), error=passing)
        status(connection, again, rows.completed(again, failed))
    owner = rows.job(connection, job_id)
    assert (owner.status, owner.done_items, owner.failed_items) == ("done", 1, 2)
    assert list_dead_letters(connection) == [], "its worker said what was wrong"


def test_trouble_with_a_question_does_not_cost_a_minute(
    engine: Engine, step: StepReconciler
) -> None:
    job_id, dispatch = one_submitted(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE dispatches SET submitted_at = :now"), {"now": time.time()})
    runpod = RunpodDouble()
    runpod.statuses[f"rp-{dispatch.id}"] = httpx.Response(502)
    step(runpod)
    with engine.begin() as connection:
        assert rows.dispatches(connection, job_id)[0]["next_at"] < time.time() + 5
