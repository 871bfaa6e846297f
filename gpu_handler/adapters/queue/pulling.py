"""Where jobs are asked for, two at a time, until nobody wants more of this worker."""

import asyncio
import logging
import random

from gpu_handler.adapters.queue.client import QueueAway, QueueClient
from gpu_handler.adapters.queue.holding import Holding
from gpu_handler.answering import Handler
from shared.queue import LeasedJob

JOBS_AT_ONCE = 2
"""As with Runpod: while one job's last photos are stored, the next one's keep the device busy."""

WAIT = 8.0
"""Seconds that the API is asked to wait for a job. It gives open calls ten when it is stopped."""

LONGEST_PAUSE = 30.0
"""Seconds between two calls to an API that does not answer."""

log = logging.getLogger(__name__)


class Puller:
    """Outlives whatever the API does; `stop` is the only end."""

    def __init__(
        self, client: QueueClient, handler: Handler, name: str, *, pause: float = 1.0
    ) -> None:
        """`pause` in seconds is the first between two calls to an API that does not answer."""
        self._client = client
        self._handler = handler
        self._name = name
        self._pause = pause
        self._room = asyncio.Semaphore(JOBS_AT_ONCE)
        self._jobs: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self) -> None:
        """Until `stop`, and until every job that was begun has been brought back."""
        if not self._stopped:
            self._asking = asyncio.create_task(self._ask_on())
            await asyncio.wait({self._asking})
            if not self._asking.cancelled():
                self._asking.result()
        while self._jobs:
            await asyncio.wait(self._jobs)

    def stop(self) -> None:
        """Ask for no other job. A call that waits is hung up, which the API sees: it gives out no
        job for it. Called from the event loop's thread."""
        self._stopped = True
        if self._asking is not None:
            self._asking.cancel()

    async def _ask_on(self) -> None:
        while True:
            await self._room.acquire()
            self._begin(await self._next())

    def _begin(self, job: LeasedJob) -> None:
        log.info("job taken", extra={"runpod_job_id": job.id})
        task = asyncio.create_task(Holding(self._client, self._handler, job).work())
        self._jobs.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        self._room.release()
        if not task.cancelled() and (error := task.exception()):
            log.error("a job broke off", exc_info=error)

    async def _next(self) -> LeasedJob:
        """The next job, however long it takes to come."""
        pause = self._pause
        while True:
            try:
                job = await self._client.lease(self._name, WAIT)
            except QueueAway as error:
                log.warning("no job could be asked for: %s", error)
                # Half of it by chance: the workers of an API that was away come back one by one.
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                pause = self._pause
                if job is not None:
                    return job
