"""Rows of the outbox: attempts to have a job worked on, leased by whichever process comes first."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, case, func, insert, or_, select, update

from edge_api.storage.tables import dispatches


class DispatchState(StrEnum):
    NEW = "new"  # waits to be submitted from next_at on
    SUBMITTING = "submitting"  # leased by a dispatcher until next_at
    UNCERTAIN = "uncertain"  # Runpod may have it or not; a sign of life is awaited until next_at
    SUBMITTED = "submitted"  # Runpod has it; asked for its status from next_at on
    CANCELING = "canceling"  # the job was canceled; Runpod is told
    SUPERSEDED = "superseded"  # a later attempt took its place
    ENDED = "ended"  # nothing is left to do


LIVE = (
    DispatchState.NEW,
    DispatchState.SUBMITTING,
    DispatchState.UNCERTAIN,
    DispatchState.SUBMITTED,
)
IN_DOUBT = (DispatchState.SUBMITTING, DispatchState.UNCERTAIN)
"""Runpod may have it. A dispatcher whose lease ran out died before or after its call."""


class Dispatch(Struct, frozen=True):
    """`tries` counts submits of the job's work, `strikes` the attempts whose worker was lost.

    `begun_at` is the first sign of life of a worker, `lease_until` when the attempt counts as lost
    without another; both in Unix seconds. `request_id` is that of the call that executed the job.
    """

    id: str
    job_id: str
    attempt: int
    state: DispatchState
    endpoint_id: str | None
    runpod_job_id: str | None
    tries: int
    strikes: int
    submitted_at: float | None
    begun_at: float | None
    lease_until: float | None
    request_id: str | None = None

    @property
    def ids(self) -> dict[str, str | int]:
        """What its log lines and spans carry."""
        origin = {} if self.request_id is None else {"request_id": self.request_id}
        return {"job_id": self.job_id, "dispatch_id": self.id, "attempt": self.attempt, **origin}


_COLUMNS = [dispatches.c[name] for name in Dispatch.__struct_fields__]


def insert_dispatch(
    connection: Connection,
    dispatch_id: str,
    job_id: str,
    attempt: int,
    now: float,
    *,
    tries: int = 0,
    strikes: int = 0,
    request_id: str | None = None,
    after: float = 0.0,
) -> None:
    """It is due `after` seconds from `now` on."""
    connection.execute(
        insert(dispatches).values(
            id=dispatch_id,
            job_id=job_id,
            attempt=attempt,
            state=DispatchState.NEW,
            tries=tries,
            strikes=strikes,
            next_at=now + after,
            created_at=now,
            request_id=request_id,
        )
    )


def find_dispatch(connection: Connection, dispatch_id: str) -> Dispatch | None:
    row = connection.execute(select(*_COLUMNS).where(dispatches.c.id == dispatch_id)).one_or_none()
    return None if row is None else _dispatch(row)


class Attempt(Struct, frozen=True):
    """A whole row, for who wants to know what happened."""

    id: str
    attempt: int
    state: DispatchState
    endpoint_id: str | None
    runpod_job_id: str | None
    tries: int
    strikes: int
    last_error: str | None
    created_at: float
    submitted_at: float | None
    begun_at: float | None
    lease_until: float | None
    next_at: float
    execution_ms: int | None


def list_attempts(connection: Connection, job_id: str) -> list[Attempt]:
    rows = connection.execute(
        select(dispatches).where(dispatches.c.job_id == job_id).order_by(dispatches.c.attempt)
    )
    return [msgspec.convert(row, Attempt, from_attributes=True) for row in rows]


def make_due(connection: Connection, now: float) -> int:
    """Have everything that Runpod has looked after at once; how much that is."""
    due = connection.execute(
        update(dispatches)
        .where(
            dispatches.c.state.in_([DispatchState.SUBMITTED, DispatchState.CANCELING]),
            dispatches.c.next_at > now,
        )
        .values(next_at=now)
    )
    return due.rowcount


def last_attempt(connection: Connection, job_id: str) -> int:
    """The newest attempt's number; 0 before the first."""
    newest = connection.execute(
        select(func.coalesce(func.max(dispatches.c.attempt), 0)).where(
            dispatches.c.job_id == job_id
        )
    )
    return newest.scalar_one()


def claim_new(
    connection: Connection, endpoint_id: str, now: float, lease: float, limit: int
) -> list[Dispatch]:
    """Lease rows to submit to that endpoint."""
    return _claim(
        connection,
        dispatches.c.state == DispatchState.NEW,
        now,
        limit,
        state=DispatchState.SUBMITTING,
        endpoint_id=endpoint_id,
        next_at=now + lease,
        tries=dispatches.c.tries + 1,
    )


def claim_due(connection: Connection, now: float, lease: float, limit: int) -> list[Dispatch]:
    """Lease rows to look after: a status to ask for, a cancellation to tell, a doubt to end."""
    looked_after = (*IN_DOUBT, DispatchState.SUBMITTED, DispatchState.CANCELING)
    return _claim(connection, dispatches.c.state.in_(looked_after), now, limit, next_at=now + lease)


def _claim(
    connection: Connection,
    condition: ColumnElement[bool],
    now: float,
    limit: int,
    **columns: object,
) -> list[Dispatch]:
    due = (
        select(dispatches.c.id)
        .where(condition, dispatches.c.next_at <= now)
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
    runpod_job_id: str,
    now: float,
    next_at: float,
    lease_until: float,
) -> bool:
    """Runpod took it. A row that was canceled or replaced meanwhile keeps its state but learns
    the id. False where the row is gone."""
    unleased = or_(dispatches.c.lease_until.is_(None), dispatches.c.lease_until > lease_until)
    recorded = connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id)
        .values(
            state=case(
                (dispatches.c.state.in_(IN_DOUBT), DispatchState.SUBMITTED.value),
                else_=dispatches.c.state,
            ),
            runpod_job_id=runpod_job_id,
            submitted_at=now,
            next_at=next_at,
            # A callback that was faster than Runpod's answer has begun a shorter lease.
            lease_until=case((unleased, lease_until), else_=dispatches.c.lease_until),
        )
    )
    return recorded.rowcount == 1


def record_refused(
    connection: Connection, dispatch_id: str, error: str, next_at: float, *, counted: bool = True
) -> None:
    """Runpod did not take it; it is tried again from `next_at` on."""
    tries = dispatches.c.tries if counted else dispatches.c.tries - 1
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state == DispatchState.SUBMITTING)
        .values(state=DispatchState.NEW, next_at=next_at, last_error=error[:500], tries=tries)
    )


def record_uncertain(connection: Connection, dispatch_id: str, error: str, next_at: float) -> None:
    """Nobody knows whether Runpod took it; until `next_at` a callback may tell."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state == DispatchState.SUBMITTING)
        .values(state=DispatchState.UNCERTAIN, next_at=next_at, last_error=error[:500])
    )


def record_life(
    connection: Connection, dispatch_id: str, runpod_job_id: str, now: float, lease_until: float
) -> None:
    """A worker reported something: its lease begins anew, and doubts about its submit end."""
    known = func.coalesce(dispatches.c.runpod_job_id, runpod_job_id)
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state.in_(LIVE))
        .values(
            state=DispatchState.SUBMITTED,
            runpod_job_id=known,
            submitted_at=func.coalesce(dispatches.c.submitted_at, now),
            begun_at=func.coalesce(dispatches.c.begun_at, now),
            lease_until=lease_until,
        )
    )


def record_begun(connection: Connection, dispatch_id: str, now: float, lease_until: float) -> None:
    """Runpod says that a worker has it. Saying so again does not make the lease longer."""
    longer = or_(dispatches.c.lease_until.is_(None), dispatches.c.lease_until > lease_until)
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, longer)
        .values(lease_until=lease_until, begun_at=func.coalesce(dispatches.c.begun_at, now))
    )


def begin(connection: Connection, dispatch_id: str, now: float) -> float | None:
    """Note the first sign of work; seconds since Runpod took it. None for every later sign, in
    whatever process, for an attempt that is over, and where nobody knows when Runpod took it."""
    begun = connection.execute(
        update(dispatches)
        .where(
            dispatches.c.id == dispatch_id,
            dispatches.c.state.in_(LIVE),
            dispatches.c.begun_at.is_(None),
        )
        .values(begun_at=now)
        .returning(dispatches.c.submitted_at)
    ).one_or_none()
    submitted_at = None if begun is None else begun.submitted_at
    return None if submitted_at is None else max(0.0, now - submitted_at)


def postpone(connection: Connection, dispatch_id: str, next_at: float) -> None:
    """Look after this row again from `next_at` on. One that was canceled meanwhile stays due."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state == DispatchState.SUBMITTED)
        .values(next_at=next_at)
    )


def postpone_cancel(connection: Connection, dispatch_id: str, next_at: float) -> None:
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == dispatch_id, dispatches.c.state == DispatchState.CANCELING)
        .values(next_at=next_at)
    )


def move(
    connection: Connection,
    dispatch_id: str,
    states: Sequence[DispatchState],
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


def _dispatch(row: Row[tuple[object, ...]]) -> Dispatch:
    return msgspec.convert(row, Dispatch, from_attributes=True)
