"""What a real worker writes about a job, between a real bucket and a real API."""

import asyncio
import io
import logging
from collections.abc import Generator
from contextlib import contextmanager

import httpx
import msgspec
from msgspec import Struct

from gpu_handler.answering import make_handler
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.callback import CallbackClient, RetryPlan
from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.worker import Worker
from shared.logs import JsonLines
from shared.objects import ObjectStore
from tests.gpu_handler.conftest import HalfEngine, Lab


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """What this worker was told; `url` is where the job asks to be reported to."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    callback_secret: str
    url: str
    hosts: frozenset[str] = frozenset()


def lines_of(settings: WorkerSettings) -> list[str]:
    """Everything that it logs about one photo."""
    with _written() as written:
        asyncio.run(_work(settings))
    return written.getvalue().splitlines()


async def _work(settings: WorkerSettings) -> None:
    store = ObjectStore(
        settings.endpoint, settings.bucket, settings.access_key, settings.secret_key
    )
    message = msgspec.structs.replace(
        Lab().message(1), callback_url=f"{settings.url}/jobs/job-1/callback"
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        callbacks = CallbackClient(
            http,
            settings.callback_secret,
            timeout=5.0,
            allowed_hosts=settings.hosts,
            retry=RetryPlan(tries=2, first=0.01),
        )
        worker = Worker(
            HalfEngine(), store, callbacks, brushwork=Brushwork([CpuBackend()]), batch_concurrency=1
        )
        try:
            job = {"id": "runpod-1", "input": msgspec.to_builtins(message)}
            await make_handler(worker, Fetcher())(job)
        finally:
            worker.close()


@contextmanager
def _written() -> Generator[io.StringIO]:
    output = io.StringIO()
    handler, logger = logging.StreamHandler(output), logging.getLogger("gpu_handler")
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    try:
        yield output
    finally:
        logger.removeHandler(handler)
