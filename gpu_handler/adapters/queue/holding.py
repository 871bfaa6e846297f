"""One leased job: worked on while its lease is kept, and brought back."""

import asyncio
import logging
import random
import time

from gpu_handler.adapters.queue.client import LeaseGone, QueueAway, QueueClient
from gpu_handler.answering import Answer, Handler
from shared.queue import MAX_ERROR, FinishRequest, LeasedJob

log = logging.getLogger(__name__)


class Holding:
    """A job in this worker's hands. When its lease is over is the API's to say: what is known
    here of it only bounds how long the API may be away."""

    def __init__(self, client: QueueClient, handler: Handler, job: LeasedJob) -> None:
        self._client = client
        self._handler = handler
        self._job = job
        self._until = time.monotonic() + job.lease_seconds
        self._wanted = True

    async def work(self) -> None:
        """From the lease to its finish. A job that is not wanted any more is not brought back."""
        run = asyncio.ensure_future(self._handler({"id": self._job.id, "input": self._job.input}))
        keep = asyncio.create_task(self._keep(run))
        try:
            await asyncio.wait({run})
        finally:
            run.cancel()
            keep.cancel()
        await asyncio.wait({keep})
        if self._wanted and not run.cancelled():
            await self._bring_back(_finish(self._job.lease, run.result()))

    async def _keep(self, run: asyncio.Future[Answer]) -> None:
        """Renew the lease until the job is over; stop the job where that is in vain."""
        third = self._job.lease_seconds / 3
        pause = third
        while self._wanted:
            await asyncio.sleep(pause)
            sent = time.monotonic()
            try:
                renewed = await self._client.renew(self._job)
            except LeaseGone as error:
                self._let_go(run, str(error))
            except QueueAway as error:
                log.warning("lease not renewed: %s", error)
                pause = min(third / 4, 5.0)
                if time.monotonic() >= self._until:
                    self._let_go(run, "the API was away for too long")
            else:
                self._until, pause = sent + renewed.lease_seconds, third
                if renewed.canceled:
                    self._let_go(run, "it was canceled")

    def _let_go(self, run: asyncio.Future[Answer], reason: str) -> None:
        log.warning("job dropped: %s", reason)
        self._wanted = False
        run.cancel()

    async def _bring_back(self, answer: FinishRequest) -> None:
        """As often as it takes, for as long as the lease holds."""
        pause = 0.5
        while True:
            try:
                accepted = await self._client.finish(self._job, answer)
            except LeaseGone as error:
                log.warning("job came back too late: %s", error)
                return
            except QueueAway as error:
                if time.monotonic() + pause >= self._until:
                    log.warning("job not brought back: %s", error)
                    return
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
                pause = min(2 * pause, 10.0)
            else:
                log.info("job brought back", extra={"accepted": accepted})
                return


def _finish(lease: str, answer: Answer) -> FinishRequest:
    """`refresh_worker` is for whoever starts workers; the API has no use for it."""
    error = answer.get("error")
    if error is not None:
        return FinishRequest(lease, error=str(error).replace("\0", " ")[:MAX_ERROR])
    return FinishRequest(lease, {k: v for k, v in answer.items() if k != "refresh_worker"})
