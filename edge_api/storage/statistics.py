"""Figures for operators: aggregates over whole tables, read and never written."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from alembic.script import ScriptDirectory
from msgspec import Struct
from sqlalchemy import Connection, Row, func, select, text

from edge_api.domain.jobs import OPEN, JobStatus
from edge_api.storage.dead_letters import DeadLetterState
from edge_api.storage.dispatches import DispatchState
from edge_api.storage.endpoints import Breaker, find_breaker
from edge_api.storage.grants import granted_today
from edge_api.storage.ledger import Kind
from edge_api.storage.migrate import MIGRATIONS
from edge_api.storage.tables import billing_events, dead_letters, dispatches, jobs, users

WAITING = (DispatchState.NEW, DispatchState.SUBMITTING, DispatchState.UNCERTAIN)
"""Nobody knows of a worker that has it."""

OVER = (DispatchState.SUPERSEDED, DispatchState.ENDED)


class Work(Struct, frozen=True):
    """What is not over yet. Small, however old the database is: every part has an index.

    `pending` counts the items of open jobs that have not ended, `waiting_since` (Unix seconds)
    is the oldest dispatch that waits.
    """

    jobs: dict[str, int]
    pending: int
    dispatches: dict[str, int]
    waiting_since: float | None
    open_letters: int
    breaker: Breaker
    free_credits: int


class History(Struct, frozen=True):
    """What ended, and the money: these read tables from end to end.

    `done` and `failed` count items of all jobs, `canceled` those that were pending when their
    job was canceled; `credits` are signed sums, and their sum is what all balances hold.
    """

    jobs: dict[str, int]
    done: int
    failed: int
    canceled: int
    dispatches: dict[str, int]
    credits: dict[str, int]


def read_work(connection: Connection, endpoint_id: str, day: str) -> Work:
    """`day` (UTC, YYYY-MM-DD) is the one whose free credits are counted."""
    left = jobs.c.total_items - jobs.c.done_items - jobs.c.failed_items
    rows = connection.execute(
        select(jobs.c.status, func.count(), func.sum(left))
        .where(jobs.c.status.in_(OPEN))
        .group_by(jobs.c.status)
    ).all()
    letters = select(func.count()).where(dead_letters.c.state == DeadLetterState.OPEN)
    return Work(
        jobs=_all([s for s in JobStatus if s in OPEN], {row[0]: row[1] for row in rows}),
        pending=sum(int(row[2]) for row in rows),
        dispatches=_count_dispatches(connection, [s for s in DispatchState if s not in OVER]),
        waiting_since=waiting_since(connection),
        open_letters=connection.execute(letters).scalar_one(),
        breaker=find_breaker(connection, endpoint_id),
        free_credits=granted_today(connection, day),
    )


def read_history(connection: Connection) -> History:
    sums = [func.sum(jobs.c[name]) for name in ("total_items", "done_items", "failed_items")]
    query = select(jobs.c.status, func.count(), *sums).group_by(jobs.c.status)
    rows = {row[0]: [int(count) for count in row[1:]] for row in connection.execute(query)}
    _, total, done, failed = rows.get(JobStatus.CANCELED, [0, 0, 0, 0])
    amounts = select(billing_events.c.kind, func.sum(billing_events.c.amount))
    counts = {status: row[0] for status, row in rows.items() if status not in OPEN}
    return History(
        jobs=_all([s for s in JobStatus if s not in OPEN], counts),
        done=sum(row[2] for row in rows.values()),
        failed=sum(row[3] for row in rows.values()),
        canceled=total - done - failed,
        dispatches=_count_dispatches(connection, OVER),
        credits=_all(Kind, _pairs(connection.execute(amounts.group_by(billing_events.c.kind)))),
    )


def count_drifting(connection: Connection) -> int:
    """Users whose balance is not the sum of their rows: 0, or money was made or lost."""
    sums = (
        select(billing_events.c.user_id, func.sum(billing_events.c.amount).label("total"))
        .group_by(billing_events.c.user_id)
        .subquery()
    )
    drifting = (
        select(func.count())
        .select_from(users.outerjoin(sums, sums.c.user_id == users.c.id))
        .where(users.c.credits != func.coalesce(sums.c.total, 0))
    )
    return connection.execute(drifting).scalar_one()


def waiting_since(connection: Connection) -> float | None:
    """When the oldest dispatch that waits was made; None where none does."""
    oldest = select(func.min(dispatches.c.created_at)).where(dispatches.c.state.in_(WAITING))
    return connection.execute(oldest).scalar_one()


def schema_state(connection: Connection) -> str:
    """`behind` where a migration that this process knows is missing, `ahead` where the revision is
    one that it does not know: a newer version's, which is being rolled out, or was rolled back."""
    found = connection.execute(text("SELECT version_num FROM alembic_version"))
    revision: str | None = found.scalar_one_or_none()
    head, known = _revisions()
    if revision is not None and revision not in known:
        return "ahead"
    return "ok" if revision == head else "behind"


def _count_dispatches(connection: Connection, states: Sequence[DispatchState]) -> dict[str, int]:
    query = select(dispatches.c.state, func.count()).where(dispatches.c.state.in_(states))
    return _all(states, _pairs(connection.execute(query.group_by(dispatches.c.state))))


def _pairs(rows: Iterable[Row[Any, Any]]) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in rows}


def _all(names: Iterable[str], counts: Mapping[str, int]) -> dict[str, int]:
    """What was not found is 0."""
    return {str(name): counts.get(name, 0) for name in names}


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    scripts = ScriptDirectory(str(MIGRATIONS))
    return scripts.get_current_head(), frozenset(s.revision for s in scripts.walk_revisions())
