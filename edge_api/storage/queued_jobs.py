"""Rows of the API's own job queue: one worker at a time holds a job, for as long as its lease."""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, case, delete, insert, select, update

from edge_api.storage.tables import queued_jobs
from edge_api.storage.users import find_user

WORKER_LOST = "worker lost"
TOO_LONG = "execution timeout"
NEVER_TAKEN = "expired in the queue"


class QueueState(StrEnum):
    """Runpod's own words, which the reconciler reads."""

    IN_QUEUE = "IN_QUEUE"  # waits for a worker until expires_at
    IN_PROGRESS = "IN_PROGRESS"  # leased by a worker until lease_until
    COMPLETED = "COMPLETED"  # the worker sent an output
    FAILED = "FAILED"  # the worker sent an error, or was not heard of any more
    CANCELLED = "CANCELLED"  # the service wants it no more
    TIMED_OUT = "TIMED_OUT"  # nobody took it in time, or the work took too long


LIVE = (QueueState.IN_QUEUE, QueueState.IN_PROGRESS)


class QueuedJob(Struct, frozen=True):
    """`lease` is whose it is, or who ended it; None before, and where it was taken away.

    `lease_until` and `deadline` are Unix seconds, None until a worker has it.
    """

    id: str
    state: QueueState
    payload: dict[str, Any]
    execution_seconds: float
    expires_at: float
    worker: str | None
    lease: str | None
    lease_until: float | None
    deadline: float | None
    began_at: float | None
    ended_at: float | None
    output: dict[str, Any] | None
    error: str | None

    def overdue(self, now: float) -> bool:
        """Whether `end_overdue` would end it."""
        match self.state:
            case QueueState.IN_QUEUE:
                return self.expires_at <= now
            case QueueState.IN_PROGRESS:
                return min(self.lease_until or now, self.deadline or now) <= now
            case _:
                return False


_COLUMNS = [queued_jobs.c[name] for name in QueuedJob.__struct_fields__]


def enqueue_job(
    connection: Connection,
    job_id: str,
    dispatch_id: str,
    user_id: str,
    payload: dict[str, Any],
    execution_seconds: float,
    ttl: float,
    now: float,
) -> str | None:
    """The row's id, which is an earlier one's where that attempt was handed over before; None
    where the user is gone."""
    # Locked, so that no row of his comes after the others went.
    if find_user(connection, user_id, lock=True) is None:
        return None
    known = connection.execute(
        select(queued_jobs.c.id).where(queued_jobs.c.dispatch_id == dispatch_id)
    ).scalar_one_or_none()
    if known is not None:
        return known
    connection.execute(
        insert(queued_jobs).values(
            id=job_id,
            dispatch_id=dispatch_id,
            user_id=user_id,
            state=QueueState.IN_QUEUE,
            payload=payload,
            execution_seconds=execution_seconds,
            expires_at=now + ttl,
            created_at=now,
        )
    )
    return job_id


def find_queued(connection: Connection, job_id: str) -> QueuedJob | None:
    row = connection.execute(select(*_COLUMNS).where(queued_jobs.c.id == job_id)).one_or_none()
    return None if row is None else msgspec.convert(row, QueuedJob, from_attributes=True)


def anything_waits(connection: Connection, now: float) -> bool:
    return connection.execute(_waiting(now)).first() is not None


def lease_job(
    connection: Connection, worker: str, lease: str, seconds: float, now: float
) -> QueuedJob | None:
    """Give the oldest job to this worker and to no other; None where none waits."""
    oldest = _waiting(now).with_for_update(skip_locked=True).scalar_subquery()
    deadline = now + queued_jobs.c.execution_seconds
    row = connection.execute(
        update(queued_jobs)
        .where(queued_jobs.c.id == oldest)
        .values(
            state=QueueState.IN_PROGRESS,
            worker=worker,
            lease=lease,
            lease_until=now + seconds,
            deadline=deadline,
            began_at=now,
        )
        .returning(*_COLUMNS)
    ).one_or_none()
    return None if row is None else msgspec.convert(row, QueuedJob, from_attributes=True)


def renew_lease(
    connection: Connection, job_id: str, lease: str, seconds: float, now: float
) -> bool:
    """False where the job is not that lease's, or not any more."""
    renewed = connection.execute(
        update(queued_jobs).where(*_held(job_id, lease, now)).values(lease_until=now + seconds)
    )
    return renewed.rowcount == 1


def finish_queued(
    connection: Connection,
    job_id: str,
    lease: str,
    output: dict[str, Any] | None,
    error: str | None,
    now: float,
) -> bool:
    """The worker's own word. False where the job is not that lease's, or not any more."""
    state = QueueState.COMPLETED if error is None else QueueState.FAILED
    finished = connection.execute(
        update(queued_jobs)
        .where(*_held(job_id, lease, now))
        .values(state=state, output=output, error=error, ended_at=now)
    )
    return finished.rowcount == 1


def cancel_queued(connection: Connection, job_id: str, now: float) -> bool:
    """False where there is no such job; one that ended stays as it is."""
    connection.execute(
        update(queued_jobs)
        .where(queued_jobs.c.id == job_id, queued_jobs.c.state.in_(LIVE))
        .values(state=QueueState.CANCELLED, ended_at=now)
    )
    known = select(queued_jobs.c.id).where(queued_jobs.c.id == job_id)
    return connection.execute(known).first() is not None


def end_overdue(connection: Connection, now: float) -> int:
    """End what nobody took, what took too long and what lost its worker; how much that was."""
    queued = queued_jobs.c.state == QueueState.IN_QUEUE
    too_long = queued_jobs.c.deadline <= now
    expired = queued & (queued_jobs.c.expires_at <= now)
    lost = (queued_jobs.c.state == QueueState.IN_PROGRESS) & (
        too_long | (queued_jobs.c.lease_until <= now)
    )
    timed_out, failed = QueueState.TIMED_OUT.value, QueueState.FAILED.value
    ended = connection.execute(
        update(queued_jobs)
        .where(expired | lost)
        .values(
            state=case((queued, timed_out), (too_long, timed_out), else_=failed),
            error=case((queued, NEVER_TAKEN), (too_long, TOO_LONG), else_=WORKER_LOST),
            lease=None,
            ended_at=now,
        )
    )
    return ended.rowcount


def forget_ended(connection: Connection, before: float) -> None:
    connection.execute(delete(queued_jobs).where(queued_jobs.c.ended_at < before))


def _waiting(now: float) -> Any:
    return (
        select(queued_jobs.c.id)
        .where(queued_jobs.c.state == QueueState.IN_QUEUE, queued_jobs.c.expires_at > now)
        .order_by(queued_jobs.c.created_at, queued_jobs.c.id)
        .limit(1)
    )


def _held(job_id: str, lease: str, now: float) -> tuple[ColumnElement[bool], ...]:
    return (
        queued_jobs.c.id == job_id,
        queued_jobs.c.state == QueueState.IN_PROGRESS,
        queued_jobs.c.lease == lease,
        queued_jobs.c.lease_until > now,
        queued_jobs.c.deadline > now,
    )
