"""The API's own job queue, as workers see it: they ask for a job, keep it, and bring it back."""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Sequence

from sqlalchemy import Connection

from edge_api.domain.errors import Superseded, TokenInvalid
from edge_api.settings import Secret
from edge_api.storage.database import Database
from edge_api.storage.queue_workers import record_seen
from edge_api.storage.queued_jobs import (
    QueuedJob,
    QueueState,
    anything_waits,
    find_queued,
    finish_queued,
    lease_job,
    renew_lease,
)
from shared.queue import FinishRequest, LeasedJob, LeaseRequest, RenewData

logger = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks of a call that waits: another process may have taken a job in."""


class LeaseLost(Superseded):
    """The job is another worker's by now, over, or not there."""


class Leases:
    """Of several workers, and of several processes, exactly one has a job at a time.

    `seconds` is how long a lease holds without a renewal.
    """

    def __init__(self, database: Database, tokens: Sequence[Secret], seconds: float) -> None:
        self._database = database
        self._tokens = [token.reveal().encode() for token in tokens]
        self._seconds = seconds
        self._arrival = asyncio.Event()

    def admit(self, token: str) -> None:
        """Raises TokenInvalid unless it is one of QUEUE_TOKEN's."""
        sent = token.encode()
        if not any(hmac.compare_digest(sent, known) for known in self._tokens):
            raise TokenInvalid

    def wake(self) -> None:
        """A job has come: have every call that waits look for it."""
        self._arrival.set()
        self._arrival = asyncio.Event()

    async def lease(self, request: LeaseRequest, gone: asyncio.Future[None]) -> LeasedJob | None:
        """A job for that worker, waited for as long as it asks. None when `gone` is done first:
        what nobody is there to take would be lost until its lease is over."""
        await self._database.write(record_seen, request.worker, time.time())
        until = time.monotonic() + request.wait
        while not gone.done():
            arrival = asyncio.ensure_future(self._arrival.wait())
            try:
                if job := await self._lease_now(request.worker):
                    return job
                left = until - time.monotonic()
                if left <= 0:
                    return None
                # No connection is held meanwhile.
                first = asyncio.FIRST_COMPLETED
                await asyncio.wait({arrival, gone}, timeout=min(LOOK, left), return_when=first)
            finally:
                arrival.cancel()
        return None

    async def _lease_now(self, worker: str) -> LeasedJob | None:
        now = time.time()
        if not await self._database.read(anything_waits, now):
            return None
        lease = secrets.token_urlsafe(24)
        job = await self._database.write(lease_job, worker, lease, self._seconds, now)
        if job is None:
            return None
        logger.info("job leased", extra={"runpod_job_id": job.id, "worker": worker})
        return LeasedJob(job.id, lease, self._seconds, job.execution_seconds, job.payload)

    async def renew(self, job_id: str, lease: str) -> RenewData:
        """Raises LeaseLost."""
        found = await self._database.write(renew, job_id, lease, self._seconds, time.time())
        canceled = found.state is QueueState.CANCELLED
        return RenewData(0.0 if canceled else self._seconds, canceled)

    async def finish(self, job_id: str, request: FinishRequest) -> bool:
        """False where the job was canceled. The first word counts: repeating it changes nothing.
        Raises LeaseLost."""
        found = await self._database.write(finish, job_id, request, time.time())
        logger.info("job came back", extra={"runpod_job_id": job_id, "state": found.state})
        return found.state is not QueueState.CANCELLED


def renew(connection: Connection, job_id: str, lease: str, seconds: float, now: float) -> QueuedJob:
    """The job as it is then: in progress, or canceled. Raises LeaseLost."""
    renewed = renew_lease(connection, job_id, lease, seconds, now)
    found = _held(connection, job_id, lease)
    if found.worker is not None:
        record_seen(connection, found.worker, now)
    if not renewed and found.state is not QueueState.CANCELLED:
        raise LeaseLost
    return found


def finish(connection: Connection, job_id: str, request: FinishRequest, now: float) -> QueuedJob:
    """The job as it is then: ended by this lease, or canceled. Raises LeaseLost."""
    word = (request.lease, request.output, request.error)
    finished = finish_queued(connection, job_id, *word, now)
    found = _held(connection, job_id, request.lease)
    if not finished and found.state is QueueState.IN_PROGRESS:
        raise LeaseLost  # it ran out, and nobody has noticed yet
    return found


def _held(connection: Connection, job_id: str, lease: str) -> QueuedJob:
    found = find_queued(connection, job_id)
    if found is None or found.lease is None or not hmac.compare_digest(found.lease, lease):
        raise LeaseLost
    return found
