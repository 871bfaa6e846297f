"""The emulator in a thread, an endpoint of its own for each test, and a worker's client."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from infra.local.runpod.serving import RunningRunpod, serve_runpod
from infra.local.runpod.settings import RunpodSettings
from tests.infra.runpod.calls import API_KEY, WORKER_KEY


@pytest.fixture(scope="module")
def runpod() -> Iterator[RunningRunpod]:
    settings = RunpodSettings(
        api_key=API_KEY,
        worker_key=WORKER_KEY,
        long_poll=5.0,
        heartbeat_timeout=4.0,
        execution_timeout=20.0,
        webhook_retry_delay=0.05,
        refusal_delay=0.2,
    )
    with serve_runpod(settings) as running:
        yield running


@pytest.fixture
def caller(runpod: RunningRunpod) -> Iterator[httpx.Client]:
    """A client of an endpoint that only this test uses; the faults it set end with it."""
    with runpod.client(uuid.uuid4().hex[:10]) as client:
        yield client
    runpod.control(drop_done=0, run_errors=0, run_hangs=0, duplicates=0, throttled=False)


@pytest.fixture
def worker(caller: httpx.Client) -> Iterator[httpx.Client]:
    """What the SDK would send, sent by hand."""
    headers = {"Authorization": WORKER_KEY}
    with httpx.Client(base_url=caller.base_url, headers=headers, trust_env=False) as client:
        yield client
