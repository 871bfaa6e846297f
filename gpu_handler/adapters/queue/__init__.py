"""A rented machine without a platform around it: jobs are pulled from the API's own queue."""

import asyncio
import logging
import signal

from gpu_handler.adapters.queue.client import QueueClient
from gpu_handler.adapters.queue.pulling import Puller
from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.worker import Worker
from gpu_handler.settings import Settings

log = logging.getLogger(__name__)


def serve(settings: Settings, worker: Worker, fetcher: Fetcher) -> None:
    """Take jobs until told to stop. SystemExit(1) where the device was lost, so that whoever
    looks after this process starts another."""
    assert settings.queue_url is not None
    assert settings.queue_token is not None
    asyncio.run(
        take_jobs(
            QueueClient(settings.queue_url, settings.queue_token),
            settings.worker_name,
            worker,
            fetcher,
        )
    )
    if worker.device.lost:
        raise SystemExit(1)


async def take_jobs(client: QueueClient, name: str, worker: Worker, fetcher: Fetcher) -> None:
    """Until a signal, or until the device is lost; the jobs that were begun are brought back."""
    loop = asyncio.get_running_loop()

    def leave() -> None:
        log.info("shutting down: photos in flight are finished, no other is begun")
        puller.stop()
        worker.drain()

    puller = Puller(client, make_handler(worker, fetcher, on_refresh=leave), name)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    try:
        log.info("jobs are pulled as %s", name)
        await puller.run()
    finally:
        await client.close()
