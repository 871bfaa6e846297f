"""GPU time as rows: kept with its rate, and Runpod's word before the handler's."""

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text

from edge_api.services.attempts import Policy, apply_status
from edge_api.services.callbacks import apply_callback
from edge_api.services.meter import LONGEST, Meter
from edge_api.storage.costs import (
    JobCost,
    ask_later,
    costs_since,
    recent_costs,
    record_execution,
    unbilled_attempts,
)
from edge_api.storage.dispatches import Dispatch
from shared.messages import ItemStatus
from tests.edge_api import rows
from tests.edge_api.rows import NOW

RATE = 310_000
POLICY = Policy(meter=Meter(RATE, concurrency=4))


def report(
    connection: Connection,
    dispatch: Dispatch,
    idx: int,
    seconds: float | None,
    policy: Policy = POLICY,
    status: ItemStatus = ItemStatus.DONE,
) -> None:
    """A callback for one item whose photo spent so long in the worker."""
    owner = rows.job(connection, dispatch.job_id)
    timings = None if seconds is None else {"segment": 0.1, "total": seconds}
    result = replace(rows.result(owner, dispatch, idx, status), timings=timings)
    assert apply_callback(connection, owner.id, result, policy, NOW + 9)


def ended_job(
    connection: Connection, *seconds: float, policy: Policy = POLICY, user: str | None = None
) -> Dispatch:
    """A job of which every photo is done, of a new user where none is named; its attempt."""
    owner = user or rows.new_user(connection)
    dispatch = rows.submit(connection, rows.queued(connection, owner, len(seconds)))
    for idx, each in enumerate(seconds):
        report(connection, dispatch, idx, each, policy)
    return dispatch


def only_cost(connection: Connection) -> JobCost:
    (cost,) = costs_since(connection, 0.0)
    return cost


def item(connection: Connection, job_id: str, idx: int = 0) -> dict[str, Any]:
    query = text("SELECT * FROM items WHERE job_id = :job AND idx = :idx")
    return dict(connection.execute(query, {"job": job_id, "idx": idx}).mappings().one())


def test_an_item_keeps_its_share_of_the_worker_and_the_rate(connection: Connection) -> None:
    dispatch = ended_job(connection, 2.0, 1.0)
    first, second = (item(connection, dispatch.job_id, idx) for idx in range(2))
    # One waited for the other: two seconds in all, shared as the photos' own times are.
    assert (first["gpu_ms"], second["gpu_ms"]) == (1333, 667)
    assert first["gpu_rate"] == second["gpu_rate"] == RATE
    cost = only_cost(connection)
    assert (cost.done, cost.ms, cost.billed_ms, cost.micro_usd) == (2, 2000, 0, 413 + 207)


def test_failed_items_cost_time_and_are_not_done(connection: Connection) -> None:
    _, dispatch = rows.submitted(connection, 2)
    report(connection, dispatch, 0, 1.5)
    report(connection, dispatch, 1, 3.0, status=ItemStatus.FAILED)
    cost = only_cost(connection)
    assert (cost.done, cost.ms) == (1, 3000)


def test_another_rate_does_not_rewrite_history(connection: Connection) -> None:
    ended_job(connection, 1.0)
    before = only_cost(connection)
    twice = Policy(meter=Meter(2 * RATE))
    later = ended_job(connection, 1.0, policy=twice)
    costs = {cost.job_id: cost for cost in costs_since(connection, 0.0)}
    assert costs[before.job_id] == before
    assert costs[later.job_id].micro_usd == 2 * before.micro_usd


def test_runpod_s_word_takes_the_place_of_the_items_times(connection: Connection) -> None:
    dispatch = ended_job(connection, 1.0, 1.0)
    record_execution(connection, dispatch.id, 4000, RATE)
    cost = only_cost(connection)
    assert (cost.done, cost.ms, cost.billed_ms, cost.micro_usd) == (2, 4000, 4000, 1240)
    record_execution(connection, dispatch.id, 5000, 9 * RATE)
    assert only_cost(connection).micro_usd == 1550


def test_a_lost_attempt_costs_as_well(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection, 2)
    report(connection, dispatch, 0, 2.0)
    told = replace(rows.completed(dispatch, stopped="shutdown"), execution_time=7000)
    apply_status(connection, dispatch, told, POLICY, NOW + 20)
    report(connection, rows.submit(connection, job_id, NOW + 20), 1, 1.5)
    cost = only_cost(connection)
    # The first attempt as Runpod bills it, and of the second what its photo says.
    assert (cost.done, cost.ms, cost.billed_ms) == (2, 8000, 7000)


@pytest.mark.parametrize("told", [None, "soon", [], float("nan"), float("inf")])
def test_an_execution_time_that_says_nothing_is_passed_over(
    connection: Connection, told: object
) -> None:
    _, dispatch = rows.submitted(connection, 1)
    answer = replace(rows.completed(dispatch), execution_time=told)
    apply_status(connection, dispatch, answer, POLICY, NOW + 20)
    assert rows.dispatches(connection, dispatch.job_id)[0]["execution_ms"] is None


@pytest.mark.parametrize(
    ("seconds", "ms"), [(None, None), (-1.0, 0), (0.0, 0), (1e300, LONGEST), (0.0126, 13)], ids=str
)
def test_whatever_a_worker_times_the_item_ends(
    connection: Connection, seconds: float | None, ms: int | None
) -> None:
    _, dispatch = rows.submitted(connection, 1)
    report(connection, dispatch, 0, seconds)
    row = item(connection, dispatch.job_id)
    assert (row["status"], row["gpu_ms"]) == ("done", ms)
    assert only_cost(connection).ms == (ms or 0)


def test_sums_are_larger_than_the_columns(connection: Connection) -> None:
    policy = Policy(meter=Meter(10**9, concurrency=1))
    ended_job(connection, *[1e300] * 4, policy=policy)
    cost = only_cost(connection)
    assert cost.ms == 4 * LONGEST > 2**31
    assert cost.micro_usd == 4 * LONGEST * 1000


def test_recent_jobs_are_the_newest_of_their_preset(connection: Connection) -> None:
    jobs = [ended_job(connection, 1.0).job_id for _ in range(4)]
    for age, job_id in enumerate(jobs):
        connection.execute(
            text("UPDATE jobs SET ended_at = :at, preset = :preset WHERE id = :job"),
            {"at": NOW - age, "preset": "seller" if age == 1 else "interior", "job": job_id},
        )
    rows.submitted(connection, 1)  # runs still
    found = recent_costs(connection, "interior", 2)
    assert [cost.job_id for cost in found] == [jobs[2], jobs[0]]
    assert [cost.job_id for cost in recent_costs(connection, "seller", 2)] == [jobs[1]]
    assert recent_costs(connection, "nothing", 2) == []


def test_recent_jobs_are_found_by_an_index(connection: Connection, database_kind: str) -> None:
    query = (
        " SELECT id FROM jobs WHERE preset = 'interior' AND ended_at IS NOT NULL"
        " ORDER BY ended_at DESC LIMIT 20"
    )
    if database_kind == "postgresql":
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    explain = "EXPLAIN" if database_kind == "postgresql" else "EXPLAIN QUERY PLAN"
    plan = " ".join(str(row) for row in connection.execute(text(explain + query)))
    assert "ix_jobs_preset_ended_at" in plan
    assert "sort" not in plan.lower().replace("sort key", "")


def test_attempts_are_asked_about_once_they_are_over(connection: Connection) -> None:
    def asked(until: float = NOW + 100) -> list[str]:
        return [one.id for one in unbilled_attempts(connection, NOW, until, 10)]

    _, running = rows.submitted(connection, 1)
    assert asked() == []
    report(connection, running, 0, 1.0)
    over = ended_job(connection, 1.0)
    assert sorted(asked()) == sorted([running.id, over.id])
    assert asked(NOW + 1) == []
    ask_later(connection, running.id, NOW + 500)
    assert asked() == [over.id]
    ask_later(connection, over.id, None)
    record_execution(connection, running.id, 1, RATE)
    assert asked(NOW + 1000) == []


@pytest.mark.parametrize(
    ("items", "concurrency"), [(1, 4), (2, 4), (4, 4), (5, 4), (40, 4), (3, 1), (200, 32)]
)
def test_photos_that_take_turns_at_one_device_share_the_worker_s_time(
    items: int, concurrency: int
) -> None:
    """Each takes a second of the device, and `concurrency` are in the worker at once."""
    waits = [min(turn, concurrency) for turn in range(1, items + 1)]
    meter = Meter(RATE, concurrency)
    shares = [meter.time({"total": float(wait)}, items) for wait in waits]
    assert sum(share.ms for share in shares if share) == pytest.approx(items * 1000, rel=0.01)
