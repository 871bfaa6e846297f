"""What callers and workers of the emulator send, for its tests."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

API_KEY = "caller-key-of-the-test"
WORKER_KEY = "worker-key-of-the-test"
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")


def run(caller: httpx.Client, body: Mapping[str, object] | None = None, **wish: object) -> str:
    answer = caller.post("/run", json={"input": wish, **(body or {})})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "IN_QUEUE"
    return answer.json()["id"]


def status(caller: httpx.Client, job_id: str) -> dict[str, Any]:
    answer = caller.get(f"/status/{job_id}")
    assert answer.status_code == 200
    return answer.json()


def take(worker: httpx.Client, name: str = "w1") -> dict[str, Any]:
    answer = worker.get(f"/job-take/{name}?gpu=none&job_in_progress=0")
    assert answer.status_code == 200
    return answer.json()


def finish(worker: httpx.Client, job_id: str, body: object, name: str = "w1") -> httpx.Response:
    return worker.post(
        f"/job-done/{name}/{job_id}?gpu=none&isStream=false",
        content=json.dumps(body),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


def wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.03)


def wait_over(caller: httpx.Client, job_id: str) -> dict[str, Any]:
    wait_until(lambda: status(caller, job_id)["status"] in OVER)
    return status(caller, job_id)
