"""The HTTP adapter around a real worker, and the API's own client as its caller."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx

from edge_api.clients.runpod import RunpodClient
from gpu_handler.adapters.http.app import create_app
from gpu_handler.adapters.http.backlog import Backlog
from gpu_handler.adapters.http.desk import Desk
from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.worker import Worker
from tests.gpu_handler.conftest import Lab

KEY = "a-handler-key-of-at-least-32-bytes"
URL = "http://handler.test/v2"


@dataclass
class Counter:
    """One handler and those who call it: `service` is the API's client, `http` speaks plainly."""

    desk: Desk
    worker: Worker
    service: RunpodClient
    http: httpx.AsyncClient


@asynccontextmanager
async def open_counter(lab: Lab, queue: int = 4) -> AsyncGenerator[Counter]:
    async with lab.worker(1) as worker:
        desk = Desk(make_handler(worker, Fetcher()), Backlog(queue, time.monotonic), worker)
        transport = httpx.ASGITransport(cast(Any, create_app(desk, KEY)))
        service = RunpodClient(URL, KEY, transport=transport)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://handler.test", headers=headers
        ) as http:
            try:
                yield Counter(desk, worker, service, http)
            finally:
                await service.close()
