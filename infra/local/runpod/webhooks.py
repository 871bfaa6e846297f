"""The one POST to the caller's webhook when a job ended. Unsigned, as the service's are."""

import asyncio
import logging

import httpx
import msgspec

from infra.local.runpod.faults import Faults
from infra.local.runpod.jobs import Job, webhook_body

log = logging.getLogger(__name__)

TRIES = 3
OK = 200
TIMEOUT_S = 10.0


class Webhooks:
    """Sends in the background: one try and two more, `retry_delay` seconds apart, until a 200.

    Whether the service calls for cancelled and timed out jobs is not documented; here it does.
    """

    def __init__(self, retry_delay: float, faults: Faults) -> None:
        self._retry_delay = retry_delay
        self._faults = faults
        self._sending: set[asyncio.Task[None]] = set()

    def send(self, job: Job) -> None:
        url = job.request.webhook
        if not url or self._faults.strikes("drop_webhooks"):
            return
        # Encoded now: a retry of the job may change it before the last try.
        body = msgspec.json.encode(webhook_body(job))
        task = asyncio.get_running_loop().create_task(self._deliver(job.id, url, body))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _deliver(self, job_id: str, url: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            for tried in range(TRIES):
                if tried:
                    await asyncio.sleep(self._retry_delay)
                try:
                    answer = await client.post(url, content=body, headers=headers)
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                    log.info("webhook of %s: %s", job_id, type(error).__name__)
                    continue
                if answer.status_code == OK:
                    return
                log.info("webhook of %s: %d", job_id, answer.status_code)
