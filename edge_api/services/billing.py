"""Asks Runpod how long attempts ran that are over: what it bills is more than photos tell."""

import asyncio
import logging
import time

from sqlalchemy import Connection

from edge_api.clients.runpod import RunpodError, RunpodForgotten, RunpodJob
from edge_api.clients.workers import WorkerQueue
from edge_api.services.meter import Meter, clamp
from edge_api.storage.costs import Unbilled, ask_later, record_execution, unbilled_attempts
from edge_api.storage.database import Database

logger = logging.getLogger(__name__)

BATCH = 32
SETTLED = 5.0
"""Seconds after a job's last callback, in which its handler returns."""

PAUSE = 60.0
"""Seconds between two questions about an attempt that Runpod has not ended."""

REMEMBERED = 25 * 60.0
"""Seconds; Runpod forgets a job 30 minutes after its end."""


class Billing:
    """Looks at what is over. Nothing waits for it: without an answer the photos' times count."""

    def __init__(self, database: Database, runpod: WorkerQueue, meter: Meter) -> None:
        self._database = database
        self._runpod = runpod
        self._meter = meter

    async def step(self) -> bool:
        """Ask about one batch; True where there may be more."""
        now = time.time()
        window = (now - REMEMBERED, now - SETTLED)
        found = await self._database.read(unbilled_attempts, *window, BATCH)
        await asyncio.gather(*(self._ask(attempt) for attempt in found))
        return len(found) == BATCH

    async def _ask(self, attempt: Unbilled) -> None:
        try:
            answer = await self._runpod.status(attempt.endpoint_id, attempt.runpod_job_id)
        except RunpodForgotten:
            await self._database.write(ask_later, attempt.id, None)
        except RunpodError as error:
            logger.warning("execution time unknown", extra={"reason": str(error)})
            await self._database.write(ask_later, attempt.id, time.time() + PAUSE)
        else:
            await self._database.write(
                record_answer, attempt.id, answer, self._meter.rate, time.time()
            )


def record_answer(
    connection: Connection, dispatch_id: str, answer: RunpodJob, rate: int, now: float
) -> None:
    """Write how long an attempt ran that is over, or when to ask again."""
    ms = answer.execution_ms
    if not answer.status.ended:
        ask_later(connection, dispatch_id, now + PAUSE)
    elif ms is None:
        ask_later(connection, dispatch_id, None)
    else:
        record_execution(connection, dispatch_id, clamp(ms), rate)
