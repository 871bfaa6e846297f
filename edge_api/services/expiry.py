"""Cancels and refunds jobs that were left behind."""

import logging
import time

from sqlalchemy import Connection

from edge_api.services.idempotency import LIFETIME
from edge_api.services.queue import sweep_queue
from edge_api.services.settlement import cancel_job
from edge_api.settings import Settings
from edge_api.storage.database import Database
from edge_api.storage.idempotency import forget_keys
from edge_api.storage.jobs import abandoned_job_ids
from edge_api.storage.rate_limits import forget_rates

logger = logging.getLogger(__name__)

BATCH = 50


class Expiry:
    """Jobs not confirmed within the upload window, or confirmed and never executed."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._upload_window = settings.upload_window
        self._execute_window = settings.execute_window

    async def step(self) -> bool:
        """Expire one batch; True where there may be more."""
        now = time.time()
        expired = await self._database.write(
            expire_jobs, now - self._upload_window, now - self._execute_window, now
        )
        await self._database.write(forget_old, now)
        for job_id in expired:
            logger.info("job expired", extra={"job_id": job_id})
        return len(expired) == BATCH


def forget_old(connection: Connection, now: float) -> None:
    """Idempotency keys and rates that bind nobody any more, and jobs of the queue."""
    forget_keys(connection, now - LIFETIME)
    forget_rates(connection, now)
    sweep_queue(connection, now)


def expire_jobs(
    connection: Connection, created_before: float, confirmed_before: float, now: float
) -> list[str]:
    abandoned = abandoned_job_ids(connection, created_before, confirmed_before, BATCH)
    return [job for job in abandoned if cancel_job(connection, job, now) is not None]
