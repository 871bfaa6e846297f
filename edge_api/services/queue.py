"""The API's own job queue, as dispatching sees it: in the place of Runpod stands the database."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import httpx
import msgspec
from sqlalchemy import Connection

from edge_api.clients.runpod import (
    RunpodAmbiguous,
    RunpodClient,
    RunpodError,
    RunpodForgotten,
    RunpodJob,
    RunpodRefused,
    RunpodStatus,
    RunpodTransient,
    Workers,
)
from edge_api.clients.workers import WorkerQueue
from edge_api.domain.ids import new_id
from edge_api.settings import DispatchTo, Settings
from edge_api.storage.database import Database, DatabaseUnavailable
from edge_api.storage.queue_workers import count_workers, forget_workers
from edge_api.storage.queued_jobs import (
    QueuedJob,
    cancel_queued,
    end_overdue,
    enqueue_job,
    find_queued,
    forget_ended,
)
from shared.versions import WrittenMessage

RETENTION = 30 * 60.0
"""Seconds after its end for which a job is known; Runpod's."""

SEEN = 60.0
"""Seconds for which a worker counts that was heard of."""


def open_queue(
    settings: Settings,
    database: Database,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    arrived: Callable[[], None] = lambda: None,
) -> WorkerQueue:
    """Where DISPATCH says that jobs go. `arrived` is called for each that a worker may lease."""
    if settings.dispatch is DispatchTo.QUEUE:
        return QueueClient(database, arrived)
    return RunpodClient(
        settings.runpod_base_url,
        settings.runpod_api_key.reveal(),
        timeout=settings.patience.call,
        transport=transport,
    )


class PullingWorkers(Workers, frozen=True):
    """A busy one takes nothing: a job that waits behind it is not stuck, and not sent again."""

    @property
    def usable(self) -> int:
        return self.idle


class QueueClient:
    """Answers as Runpod does. `endpoint_id` is only the name of the queue's circuit breaker."""

    def __init__(self, database: Database, arrived: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._arrived = arrived

    async def submit(
        self, endpoint_id: str, message: WrittenMessage, *, execution_timeout: float, ttl: float
    ) -> str:
        """Times in seconds. Handing over the same attempt again is the same job."""
        owned = (new_id("queued"), message.dispatch_id, message.user_id)
        payload = msgspec.to_builtins(message)
        with _trouble_told(RunpodAmbiguous):  # the answer to a commit may be lost as well
            job_id = await self._database.write(
                enqueue_job, *owned, payload, execution_timeout, ttl, time.time()
            )
        if job_id is None:
            raise RunpodRefused("the account is gone")
        self._arrived()
        return job_id

    async def status(self, endpoint_id: str, runpod_job_id: str) -> RunpodJob:
        """Raises RunpodForgotten once the row is gone."""
        now = time.time()
        with _trouble_told(RunpodTransient):
            found = await self._database.read(find_queued, runpod_job_id)
            if found is not None and found.overdue(now):
                await self._database.write(end_overdue, now)
                found = await self._database.read(find_queued, runpod_job_id)
        if found is None:
            raise RunpodForgotten("no such job in the queue")
        return _as_runpod_tells(found)

    async def cancel(self, endpoint_id: str, runpod_job_id: str) -> None:
        """The worker that has it hears of it when it renews its lease."""
        with _trouble_told(RunpodAmbiguous):
            known = await self._database.write(cancel_queued, runpod_job_id, time.time())
        if not known:
            raise RunpodForgotten("no such job in the queue")

    async def workers(self, endpoint_id: str) -> Workers:
        """Those that were heard of within the last minute."""
        with _trouble_told(RunpodTransient):
            idle, running = await self._database.read(count_workers, time.time() - SEEN)
        return PullingWorkers(idle=idle, running=running)

    async def close(self) -> None:
        """Nothing: the database is closed by whoever opened it."""


def sweep_queue(connection: Connection, now: float) -> None:
    """End what is overdue though nobody asks for it, and forget what is long over."""
    end_overdue(connection, now)
    forget_ended(connection, now - RETENTION)
    forget_workers(connection, now - RETENTION)


def _as_runpod_tells(job: QueuedJob) -> RunpodJob:
    began, ended = job.began_at, job.ended_at
    ran = None if began is None or ended is None else max(0.0, ended - began) * 1000
    return RunpodJob(
        status=RunpodStatus(job.state),
        output=msgspec.Raw(msgspec.json.encode(job.output)),
        error=msgspec.Raw(msgspec.json.encode(job.error)),
        execution_time=ran,
    )


@contextmanager
def _trouble_told(kind: type[RunpodError]) -> Generator[None]:
    try:
        yield
    except DatabaseUnavailable as error:
        raise kind(f"the queue's database: {error}") from error
