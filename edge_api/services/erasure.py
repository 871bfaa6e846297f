"""An account's end: its rows at once, its objects and running work right after."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from edge_api.clients.runpod import RunpodError, RunpodForgotten
from edge_api.clients.workers import WorkerQueue
from edge_api.domain.errors import TokenInvalid
from edge_api.domain.ids import new_id
from edge_api.services.jobs import Objects
from edge_api.storage.database import Database
from edge_api.storage.erasures import (
    Erasure,
    RunningJob,
    claim_erasures,
    delete_account,
    end_erasure,
    insert_erasure,
    record_swept,
    running_jobs,
)
from edge_api.storage.users import find_user
from shared.keys import user_prefixes
from shared.objects import StorageError

logger = logging.getLogger(__name__)

LEASE = 120.0
AGAIN = 300.0
"""Seconds between two sweeps of one account's objects."""

PATIENCE = 5.0
"""Seconds that the caller waits for the first sweep; the rest happens behind his back."""

BATCH = 8


class Erased(Struct, frozen=True):
    """What was erased: rows by table, objects so far; `pending` where more may follow."""

    user_id: str
    rows: dict[str, int]
    objects: int
    pending: bool


class Eraser:
    """Erases accounts, and sweeps after those that are gone."""

    def __init__(
        self, database: Database, objects: Objects, runpod: WorkerQueue, work: float
    ) -> None:
        """`work` is how long, in seconds, a worker that has begun may still store something."""
        self._database = database
        self._objects = objects
        self._runpod = runpod
        self._work = work

    async def erase(self, user_id: str) -> Erased:
        """Delete every row of the account, and its objects as far as time allows.

        Whoever holds its token is nobody from here on. Raises TokenInvalid where it is gone.
        """
        now = time.time()
        erasure = await self._database.write(begin_erasure, user_id, now, now + self._work)
        swept = await self._sweep_now(erasure.id)
        return Erased(user_id, erasure.erased, swept or 0, swept is None)

    async def _sweep_now(self, erasure_id: str) -> int | None:
        claimed = await self._database.write(claim_erasures, time.time(), LEASE, 1, erasure_id)
        if not claimed:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._sweep(claimed[0])
        except TimeoutError:
            return None

    async def step(self) -> bool:
        """Sweep after one batch of accounts; True where there may be more."""
        claimed = await self._database.write(claim_erasures, time.time(), LEASE, BATCH)
        for erasure in claimed:
            await self._sweep(erasure)
        return len(claimed) == BATCH

    async def _sweep(self, erasure: Erasure) -> int | None:
        """How many objects were deleted; None where the store did not do its part."""
        left = [job for job in erasure.runpod_jobs if not await self._withdraw(job)]
        try:
            deleted = await asyncio.to_thread(sweep, self._objects, user_prefixes(erasure.user_id))
        except StorageError as error:
            logger.warning("objects of an erased account remain", extra={"reason": str(error)})
            await self._database.write(record_swept, erasure.id, 0, left, time.time() + AGAIN / 10)
            return None
        now = time.time()
        if now >= erasure.until and not deleted and not left:
            await self._database.write(end_erasure, erasure.id)
        else:
            await self._database.write(record_swept, erasure.id, deleted, left, now + AGAIN)
        return deleted

    async def _withdraw(self, job: RunningJob) -> bool:
        try:
            await self._runpod.cancel(job.endpoint_id, job.runpod_job_id)
        except RunpodForgotten:
            return True
        except RunpodError as error:
            logger.warning("nobody's work goes on", extra={"reason": str(error)})
            return False
        return True


def begin_erasure(connection: Connection, user_id: str, now: float, until: float) -> Erasure:
    # Locked, so that no job of his is made while his rows go.
    if find_user(connection, user_id, lock=True) is None:
        raise TokenInvalid
    running = running_jobs(connection, user_id)
    erased = delete_account(connection, user_id)
    erasure = Erasure(new_id("erasure"), user_id, running, erased, 0, until)
    insert_erasure(connection, erasure, now)
    return erasure


def sweep(
    objects: Objects, prefixes: Sequence[str], keep: Callable[[str], bool] = lambda _: False
) -> int:
    """Delete everything under these prefixes; how many objects there were. Raises StorageError."""
    deleted = 0
    for prefix in prefixes:
        keys = [info.key for info in objects.list(prefix) if not keep(info.key)]
        objects.delete(keys)
        deleted += len(keys)
    return deleted
