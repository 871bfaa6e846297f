"""Estimates and bills: medians, groups, and totals that are sums."""

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from edge_api.services.cost import ASSUMED_MS, Basis, By, Costs, estimate, read_costs
from edge_api.settings import GPU_RATE
from edge_api.storage.costs import JobCost
from shared.messages import ItemStatus
from tests.edge_api import rows
from tests.edge_api.storage.test_costs import ended_job, report

DAY = 86400.0
MIDNIGHT = 1_700_006_400.0
"""2023-11-15, 00:00 UTC."""


def cost(done: int, ms: int) -> JobCost:
    return JobCost("job", "user", "interior", rows.NOW, done, ms, 0, 0)


def test_too_few_photos_make_no_measurement() -> None:
    found = estimate([cost(9, 9 * 300)], 4, GPU_RATE)
    assert (found.basis, found.items_measured) == (Basis.ASSUMED, 9)
    assert found.gpu_seconds == 4 * ASSUMED_MS / 1000
    assert found.usd == 0.00124


def test_an_estimate_is_the_median_photo_times_the_photos() -> None:
    # Half of the photos took 300 ms; one job with a worker's trouble does not count for more.
    recent = [cost(6, 6 * 300), cost(4, 4 * 500), cost(1, 60_000)]
    found = estimate(recent, 10, GPU_RATE)
    assert (found.basis, found.items_measured) == (Basis.MEASURED, 11)
    assert (found.gpu_seconds, found.usd) == (3.0, 0.00093)


def test_jobs_without_a_time_or_a_photo_say_nothing() -> None:
    found = estimate([cost(20, 0), cost(0, 5000)], 1, GPU_RATE)
    assert (found.basis, found.items_measured) == (Basis.ASSUMED, 0)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 10**6)), min_size=10, max_size=20))
def test_the_median_lies_in_the_middle(jobs: Sequence[tuple[int, int]]) -> None:
    found = estimate([cost(done, ms * done) for done, ms in jobs], 1, GPU_RATE)
    photos = sorted(ms for done, ms in jobs for _ in range(done))
    assert found.items_measured == len(photos)
    assert round(found.gpu_seconds * 1000) == photos[(len(photos) - 1) // 2]


@pytest.fixture
def spent(connection: Connection) -> Connection:
    """Three jobs of two users, on two days; and one whose only photo failed."""
    user = rows.new_user(connection)
    for owner, photos, end, preset in [
        (user, 1, MIDNIGHT - 0.25, "interior"),
        (user, 3, MIDNIGHT, "seller"),
        (rows.new_user(connection), 1, MIDNIGHT + DAY - 0.25, "seller"),
    ]:
        dispatch = ended_job(connection, *[1.1] * photos, user=owner)
        connection.execute(
            text("UPDATE jobs SET ended_at = :end, preset = :preset WHERE id = :job"),
            {"end": end, "preset": preset, "job": dispatch.job_id},
        )
    _, failed = rows.submitted(connection, 1)
    report(connection, failed, 0, 0.5, status=ItemStatus.FAILED)
    return connection


def assert_adds_up(costs: Costs) -> None:
    total = costs.total
    assert total.items == sum(row.items for row in costs.rows)
    for field in ("gpu_seconds", "billed_seconds", "usd"):
        whole = sum(round(getattr(row, field) * 10**6) for row in costs.rows)
        assert round(getattr(total, field) * 10**6) == whole, field


def test_bills_by_day(spent: Connection) -> None:
    costs = read_costs(spent, By.DAY, None)
    days = [(row.key, row.items) for row in costs.rows]
    assert ("2023-11-14", 1) in days
    assert ("2023-11-15", 4) in days
    assert_adds_up(costs)


def test_a_day_begins_at_midnight(spent: Connection) -> None:
    costs = read_costs(spent, By.PRESET, date(2023, 11, 15))
    assert [(row.key, row.items) for row in costs.rows] == [("seller", 4)]
    assert costs.since == "2023-11-15"
    assert read_costs(spent, By.PRESET, date(2033, 1, 1)).rows == []


@pytest.mark.parametrize("by", By)
def test_every_way_to_group_has_the_same_total(spent: Connection, by: By) -> None:
    costs = read_costs(spent, by, None)
    assert_adds_up(costs)
    assert costs.total == read_costs(spent, By.DAY, None).total
    # 1.1 s in the worker each, alone or by three; and half a second for nothing.
    assert costs.total.gpu_seconds == pytest.approx(1.1 + 3 * 0.55 + 1.1 + 0.5)
    assert costs.total.usd == pytest.approx((341 + 3 * 171 + 341 + 155) / 10**6)
    assert costs.total.usd_per_item == pytest.approx(costs.total.usd / 5, abs=1e-6)


def test_nothing_done_has_no_price_per_item(connection: Connection) -> None:
    total = read_costs(connection, By.USER, None).total
    assert (total.items, total.gpu_seconds, total.usd, total.usd_per_item) == (0, 0.0, 0.0, None)
