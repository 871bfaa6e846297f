"""Rows of an account on their way out, and what has to be tidied up after them."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Table, delete, insert, select, update

from edge_api.storage.tables import (
    billing_events,
    dead_letters,
    dispatches,
    erasures,
    idempotency_keys,
    items,
    jobs,
    queued_jobs,
    rate_limits,
    rules,
    users,
)

_OF_JOBS = (dead_letters, dispatches, items)
_OF_USER = (billing_events, idempotency_keys, queued_jobs, rules, jobs)


class RunningJob(Struct, frozen=True):
    """Work at Runpod that nobody wants any more."""

    endpoint_id: str
    runpod_job_id: str


class Erasure(Struct, frozen=True):
    """What is left to do for an account whose rows are gone.

    `erased` counts its rows by table, `objects` the objects deleted so far. Until `until` workers
    that had begun may still store results, which are swept as well.
    """

    id: str
    user_id: str
    runpod_jobs: list[RunningJob]
    erased: dict[str, int]
    objects: int
    until: float


_COLUMNS = [erasures.c[name] for name in Erasure.__struct_fields__]


def running_jobs(connection: Connection, user_id: str) -> list[RunningJob]:
    """What Runpod may still be working on for this user."""
    found = connection.execute(
        select(dispatches.c.endpoint_id, dispatches.c.runpod_job_id)
        .join(jobs, jobs.c.id == dispatches.c.job_id)
        .where(
            jobs.c.user_id == user_id,
            dispatches.c.state.in_(["submitted", "canceling"]),
            dispatches.c.runpod_job_id.is_not(None),
        )
    )
    return [RunningJob(row.endpoint_id, row.runpod_job_id) for row in found]


def delete_account(connection: Connection, user_id: str) -> dict[str, int]:
    """Delete every row of a user; how many there were by table."""
    own = select(jobs.c.id).where(jobs.c.user_id == user_id)
    erased = {
        table.name: connection.execute(delete(table).where(table.c.job_id.in_(own))).rowcount
        for table in _OF_JOBS
    }
    for table in _OF_USER:
        erased[table.name] = _delete_of(connection, table, user_id)
    connection.execute(delete(rate_limits).where(rate_limits.c.key == f"calls:{user_id}"))
    erased["users"] = connection.execute(delete(users).where(users.c.id == user_id)).rowcount
    return erased


def _delete_of(connection: Connection, table: Table, user_id: str) -> int:
    return connection.execute(delete(table).where(table.c.user_id == user_id)).rowcount


def insert_erasure(
    connection: Connection,
    erasure: Erasure,
    now: float,
) -> None:
    connection.execute(
        insert(erasures).values(
            id=erasure.id,
            user_id=erasure.user_id,
            runpod_jobs=msgspec.to_builtins(erasure.runpod_jobs),
            erased=erasure.erased,
            objects=erasure.objects,
            next_at=now,
            until=erasure.until,
            created_at=now,
        )
    )


def claim_erasures(
    connection: Connection, now: float, lease: float, limit: int, only: str | None = None
) -> list[Erasure]:
    """Lease erasures that are due; with `only`, that one."""
    due = (
        select(erasures.c.id)
        .where(erasures.c.next_at <= now)
        .order_by(erasures.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if only is not None:
        due = due.where(erasures.c.id == only)
    rows = connection.execute(
        update(erasures)
        .where(erasures.c.id.in_(due))
        .values(next_at=now + lease)
        .returning(*_COLUMNS)
    )
    return [msgspec.convert(row, Erasure, from_attributes=True) for row in rows]


def record_swept(
    connection: Connection,
    erasure_id: str,
    objects: int,
    left: Sequence[RunningJob],
    next_at: float,
) -> None:
    """`objects` more were deleted; `left` is what Runpod still has to be told."""
    connection.execute(
        update(erasures)
        .where(erasures.c.id == erasure_id)
        .values(
            objects=erasures.c.objects + objects,
            runpod_jobs=msgspec.to_builtins(left),
            next_at=next_at,
        )
    )


def end_erasure(connection: Connection, erasure_id: str) -> None:
    connection.execute(delete(erasures).where(erasures.c.id == erasure_id))
