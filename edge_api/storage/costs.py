"""What GPU time was used and what it cost: measured by item, billed by attempt.

The rate stands beside every time that was recorded, so that another rate does not rewrite
history. An attempt of which Runpod said how long it ran takes the place of its items' own times.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    cast,
    func,
    select,
    update,
)

from edge_api.storage.dispatches import DispatchState
from edge_api.storage.tables import dispatches, items, jobs

OVER = (DispatchState.SUPERSEDED, DispatchState.ENDED)


class JobCost(Struct, frozen=True):
    """One job that ended: `done` items, milliseconds of GPU time of which `billed_ms` are
    Runpod's own figure, and micro-dollars, rounded for each time that was recorded."""

    job_id: str
    user_id: str
    preset: str
    ended_at: float
    done: int
    ms: int
    billed_ms: int
    micro_usd: int


class Unbilled(Struct, frozen=True):
    """An attempt that is over, and of which Runpod did not say yet how long it ran."""

    id: str
    endpoint_id: str
    runpod_job_id: str


class _Sum(Struct, frozen=True):
    ms: int
    micro_usd: int


_NOTHING = _Sum(0, 0)


def costs_since(connection: Connection, moment: float) -> list[JobCost]:
    """Jobs that ended from then on, oldest first."""
    return _read(connection, jobs.c.ended_at >= moment)


def recent_costs(connection: Connection, preset: str, limit: int) -> list[JobCost]:
    """Those of the newest jobs of a preset that ended; one walk along an index."""
    newest = (
        select(jobs.c.id)
        .where(jobs.c.preset == preset, jobs.c.ended_at.is_not(None))
        .order_by(jobs.c.ended_at.desc())
        .limit(limit)
    )
    ids = list(connection.execute(newest).scalars())
    return _read(connection, jobs.c.id.in_(ids)) if ids else []


def record_execution(connection: Connection, dispatch_id: str, ms: int, rate: int) -> None:
    """Runpod said how long an attempt ran; `rate` in nano-dollars per second. Its last word counts,
    at the rate of the first."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id)
        .values(execution_ms=ms, gpu_rate=func.coalesce(dispatches.c.gpu_rate, rate))
    )


def unbilled_attempts(
    connection: Connection, since: float, until: float, limit: int
) -> list[Unbilled]:
    """Attempts to ask about: `next_at` is when they were over, or are to be asked about again."""
    rows = connection.execute(
        select(dispatches.c.id, dispatches.c.endpoint_id, dispatches.c.runpod_job_id)
        .where(
            dispatches.c.state.in_(OVER),
            dispatches.c.next_at.between(since, until),
            dispatches.c.execution_ms.is_(None),
            dispatches.c.endpoint_id.is_not(None),
            dispatches.c.runpod_job_id.is_not(None),
        )
        .order_by(dispatches.c.next_at)
        .limit(limit)
    )
    return [Unbilled(row.id, row.endpoint_id, row.runpod_job_id) for row in rows]


def ask_later(connection: Connection, dispatch_id: str, next_at: float | None) -> None:
    """Nobody said how long it ran. None: nobody will, and it is not asked about again."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state.in_(OVER))
        .values(next_at=next_at or 0.0)
    )


def _read(connection: Connection, chosen: ColumnElement[bool]) -> list[JobCost]:
    measured, billed = (
        # Sums are Decimal on PostgreSQL.
        {row.job_id: _Sum(int(row.ms), int(row.micro_usd)) for row in connection.execute(query)}
        for query in (_measured(chosen), _billed(chosen))
    )
    columns = (jobs.c.id, jobs.c.user_id, jobs.c.preset, jobs.c.ended_at, jobs.c.done_items)
    rows = connection.execute(
        select(*columns).where(chosen, jobs.c.ended_at.is_not(None)).order_by(jobs.c.ended_at)
    )
    return [_cost(row, measured, billed) for row in rows]


def _cost(
    job: Row[Any, Any, Any, Any, Any], measured: Mapping[str, _Sum], billed: Mapping[str, _Sum]
) -> JobCost:
    by_handler, by_runpod = measured.get(job.id, _NOTHING), billed.get(job.id, _NOTHING)
    return JobCost(
        job_id=job.id,
        user_id=job.user_id,
        preset=job.preset,
        ended_at=job.ended_at,
        done=job.done_items,
        ms=by_handler.ms + by_runpod.ms,
        billed_ms=by_runpod.ms,
        micro_usd=by_handler.micro_usd + by_runpod.micro_usd,
    )


def _measured(chosen: ColumnElement[bool]) -> Select[Any, Any, Any]:
    """By job, what the handler timed of items whose attempt Runpod said nothing of."""
    attempt = (dispatches.c.job_id == items.c.job_id) & (dispatches.c.attempt == items.c.attempt)
    return (
        select(items.c.job_id, *_sums(items.c.gpu_ms, items.c.gpu_rate))
        .join_from(items, jobs, jobs.c.id == items.c.job_id)
        .outerjoin(dispatches, attempt)
        .where(chosen, items.c.gpu_ms.is_not(None), dispatches.c.execution_ms.is_(None))
        .group_by(items.c.job_id)
    )


def _billed(chosen: ColumnElement[bool]) -> Select[Any, Any, Any]:
    return (
        select(dispatches.c.job_id, *_sums(dispatches.c.execution_ms, dispatches.c.gpu_rate))
        .join_from(dispatches, jobs, jobs.c.id == dispatches.c.job_id)
        .where(chosen, dispatches.c.execution_ms.is_not(None))
        .group_by(dispatches.c.job_id)
    )


def _sums(ms: Column[Any], rate: Column[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Milliseconds by nano-dollars a second are pico-dollars: more than 32 bits hold."""
    micro_usd = (cast(ms, BigInteger) * rate + 500_000) // 1_000_000
    return func.sum(ms).label("ms"), func.sum(micro_usd).label("micro_usd")
