"""Rows of the outbox: attempts to have a job worked on, leased by whichever process comes first."""

from enum import StrEnum

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, update

from edge_api.storage.tables import dispatches


class DispatchState(StrEnum):
    NEW = "new"  # waits to be submitted from next_at on
    SUBMITTING = "submitting"  # leased by a dispatcher until next_at
    SUBMITTED = "submitted"  # Runpod has it; asked for its status from next_at on
    CANCELING = "canceling"  # the job was canceled; Runpod is told
    SUPERSEDED = "superseded"  # a later attempt took its place
    ENDED = "ended"  # nothing is left to do


LIVE = (DispatchState.NEW, DispatchState.SUBMITTING, DispatchState.SUBMITTED)


class Dispatch(Struct, frozen=True):
    id: str
    job_id: str
    attempt: int
    state: DispatchState
    endpoint_id: str | None
    runpod_job_id: str | None
    tries: int
    submitted_at: float | None


_COLUMNS = [dispatches.c[name] for name in Dispatch.__struct_fields__]


def insert_dispatch(
    connection: Connection, dispatch_id: str, job_id: str, attempt: int, now: float
) -> None:
    connection.execute(
        insert(dispatches).values(
            id=dispatch_id,
            job_id=job_id,
            attempt=attempt,
            state=DispatchState.NEW,
            tries=0,
            next_at=now,
            created_at=now,
        )
    )


def find_dispatch(connection: Connection, dispatch_id: str) -> Dispatch | None:
    row = connection.execute(select(*_COLUMNS).where(dispatches.c.id == dispatch_id)).one_or_none()
    return None if row is None else _dispatch(row)


def last_attempt(connection: Connection, job_id: str) -> int:
    """The newest attempt's number; 0 before the first."""
    newest = connection.execute(
        select(func.coalesce(func.max(dispatches.c.attempt), 0)).where(
            dispatches.c.job_id == job_id
        )
    )
    return newest.scalar_one()


def claim_new(connection: Connection, now: float, lease: float, limit: int) -> list[Dispatch]:
    """Lease rows to submit: new ones, and those whose dispatcher died while submitting."""
    return _claim(
        connection,
        (DispatchState.NEW, DispatchState.SUBMITTING),
        now,
        limit,
        state=DispatchState.SUBMITTING,
        next_at=now + lease,
        tries=dispatches.c.tries + 1,
    )


def claim_submitted(connection: Connection, now: float, lease: float, limit: int) -> list[Dispatch]:
    """Lease rows whose status is to be asked, or whose cancellation is to be told."""
    return _claim(
        connection,
        (DispatchState.SUBMITTED, DispatchState.CANCELING),
        now,
        limit,
        next_at=now + lease,
    )


def _claim(
    connection: Connection,
    states: tuple[DispatchState, ...],
    now: float,
    limit: int,
    **columns: object,
) -> list[Dispatch]:
    due = (
        select(dispatches.c.id)
        .where(dispatches.c.state.in_(states), dispatches.c.next_at <= now)
        .order_by(dispatches.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(
        update(dispatches).where(dispatches.c.id.in_(due)).values(**columns).returning(*_COLUMNS)
    )
    return [_dispatch(row) for row in rows]


def record_submitted(
    connection: Connection,
    dispatch_id: str,
    endpoint_id: str,
    runpod_job_id: str,
    now: float,
    next_at: float,
) -> None:
    """Runpod took it. A row that was canceled meanwhile keeps its state but learns the id."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id)
        .values(
            endpoint_id=endpoint_id, runpod_job_id=runpod_job_id, submitted_at=now, next_at=next_at
        )
    )
    move(connection, dispatch_id, (DispatchState.SUBMITTING,), DispatchState.SUBMITTED)


def record_refused(connection: Connection, dispatch_id: str, error: str, next_at: float) -> None:
    """Runpod did not take it; it is tried again from `next_at` on."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state == DispatchState.SUBMITTING)
        .values(state=DispatchState.NEW, next_at=next_at, last_error=error[:500])
    )


def postpone(connection: Connection, dispatch_id: str, next_at: float) -> None:
    """Ask about this row again from `next_at` on. One that was canceled meanwhile stays due."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state == DispatchState.SUBMITTED)
        .values(next_at=next_at)
    )


def move(
    connection: Connection,
    dispatch_id: str,
    states: tuple[DispatchState, ...],
    target: DispatchState,
    error: str | None = None,
) -> bool:
    values: dict[str, object] = {"state": target}
    if error is not None:
        values["last_error"] = error[:500]
    moved = connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state.in_(states))
        .values(**values)
    )
    return moved.rowcount == 1


def end_dispatches(connection: Connection, job_id: str, target: DispatchState, now: float) -> None:
    """Take every live attempt of a job to `target`, due at once."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.job_id == job_id, dispatches.c.state.in_(LIVE))
        .values(state=target, next_at=now)
    )


def _dispatch(row: object) -> Dispatch:
    return msgspec.convert(row, Dispatch, from_attributes=True)
