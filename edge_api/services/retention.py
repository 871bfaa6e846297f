"""Photos and results are kept for as long as the settings say, and no longer."""

import asyncio
import logging
import time

from edge_api.services.erasure import sweep
from edge_api.services.jobs import Objects
from edge_api.settings import Settings
from edge_api.storage.database import Database
from edge_api.storage.jobs import Purge, purgeable_jobs, record_purged
from shared.keys import input_prefix, result_prefixes
from shared.objects import StorageError

logger = logging.getLogger(__name__)

BATCH = 20
DAY = 24 * 3600.0


class Retention:
    """Deletes the objects of jobs that ended long enough ago. Rows stay: they are the ledger's."""

    def __init__(self, database: Database, objects: Objects, settings: Settings) -> None:
        self._database = database
        self._objects = objects
        self._kept = keeping(settings)

    async def step(self) -> bool:
        """Delete what one batch of jobs left; True where there may be more."""
        found = [await self._purge(what, seconds) for what, seconds in self._kept.items()]
        return max(found, default=0) == BATCH

    async def _purge(self, what: Purge, seconds: float) -> int:
        now = time.time()
        jobs = await self._database.read(purgeable_jobs, what, now - seconds, BATCH)
        for user_id, job_id in jobs:
            prefixes = (
                [input_prefix(user_id, job_id)]
                if what is Purge.INPUTS
                else result_prefixes(user_id, job_id)
            )
            try:
                deleted = await asyncio.to_thread(sweep, self._objects, prefixes)
            except StorageError as error:
                logger.warning("not purged yet", extra={"job_id": job_id, "reason": str(error)})
                return 0
            await self._database.write(record_purged, what, job_id, now)
            if deleted:
                extra = {"job_id": job_id, "what": what.value, "objects": deleted}
                logger.info("purged", extra=extra)
        return len(jobs)


def keeping(settings: Settings) -> dict[Purge, float]:
    """For how many seconds what is kept; what is kept for ever is not in it."""
    days = {
        Purge.INPUTS: settings.input_retention_days,
        Purge.RESULTS: settings.result_retention_days,
    }
    return {what: count * DAY for what, count in days.items() if count}
