"""Whoever has the Runpod key chooses what a worker is told: it signs nothing for strangers."""

import asyncio
import json
from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from gpu_handler.answering import make_handler
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.fetch import Fetcher
from gpu_handler.handler import build_worker
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.worker import Worker
from gpu_handler.settings import Settings
from tests.gpu_handler.conftest import SECRET, HalfEngine, Lab

Json = dict[str, Any]

PRODUCTION = {
    "ENV": "production",
    "STORAGE_S3_ENDPOINT": "https://127.0.0.1:9",
    "STORAGE_ACCESS_KEY": "access",
    "STORAGE_SECRET_KEY": "secret",
    "STORAGE_BUCKET": "s3-images",
    "GPU_CALLBACK_SECRET": SECRET,
    "CALLBACK_ALLOWED_HOSTS": "api.example.com",
}


@pytest.fixture(scope="module")
def engine() -> HalfEngine:
    return HalfEngine()


@pytest.fixture(scope="module")
def production(engine: HalfEngine) -> Generator[Worker]:
    """A worker as `main` makes it."""
    worker = build_worker(Settings.from_env(PRODUCTION), engine, Brushwork([CpuBackend()]))
    yield worker
    worker.close()


def call(worker: Worker, input_: object) -> Json:
    answer = make_handler(worker, Fetcher())({"id": "runpod-1", "input": input_})
    return json.loads(json.dumps(asyncio.run(asyncio.wait_for(answer, 10))))


STRANGERS = [
    "https://evil.example/jobs/job-1/callback",
    "https://api.example.com.evil.example/",
    "https://evil.example/?api.example.com",
    "https://evil.example/#@api.example.com",
    "https://api.example.com@evil.example/",
    "https://evil.example\\@api.example.com/",
    "https://api.example.com\t.evil.example/",
    "https://api.example.com./",
    "https://sub.api.example.com/",
    "https://127.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "http://api.example.com/jobs/job-1/callback",
    "file:///etc/passwd",
    "//api.example.com/",
    "",
]


@pytest.mark.parametrize("url", STRANGERS, ids=repr)
def test_in_production_a_worker_begins_nothing_for_a_stranger(
    production: Worker, engine: HalfEngine, lab: Lab, url: str
) -> None:
    told = call(production, msgspec.to_builtins(lab.job(1)) | {"callback_url": url})
    assert set(told) == {"error"}
    assert told["error"].startswith("INVALID_INPUT: field callback_url: ")
    assert engine.calls == 0


def test_in_production_the_api_itself_is_called_back(production: Worker) -> None:
    production.callbacks.check("https://api.example.com/jobs/job-1/callback")
    production.callbacks.check("https://API.EXAMPLE.com:8443/v1/jobs/job-1/callback")
