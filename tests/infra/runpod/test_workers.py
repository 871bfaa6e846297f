"""What a worker of the emulated service is told."""

import queue
import threading
import time
from typing import Any

import httpx
import pytest

from infra.local.control import Platform
from infra.local.runpod.serving import RunningRunpod
from tests.infra.runpod.calls import API_KEY, finish, run, status, take


def test_a_poll_is_held_until_there_is_a_job(caller: httpx.Client, worker: httpx.Client) -> None:
    taken: queue.Queue[dict[str, Any]] = queue.Queue()
    thread = threading.Thread(target=lambda: taken.put(take(worker)))
    thread.start()
    time.sleep(0.4)
    assert taken.empty()
    job_id = run(caller)
    assert taken.get(timeout=2)["id"] == job_id
    thread.join()


def test_a_job_is_not_handed_to_a_poll_that_was_given_up(
    caller: httpx.Client, worker: httpx.Client
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        worker.get("/job-take/impatient?gpu=none&job_in_progress=0", timeout=0.2)
    time.sleep(0.3)
    job_id = run(caller)
    time.sleep(0.2)
    assert status(caller, job_id)["status"] == "IN_QUEUE"
    assert take(worker, "patient")["id"] == job_id


def test_batches_and_stops(caller: httpx.Client, worker: httpx.Client) -> None:
    jobs = [run(caller) for _ in range(3)]
    batch = worker.get("/job-take-batch/w1?gpu=none&batch_size=2&job_in_progress=0").json()
    assert [job["id"] for job in batch] == jobs[:2]
    caller.post(f"/cancel/{jobs[1]}")
    assert worker.get("/job-stop/w1?gpu=none").json() == {"jobsToStop": [jobs[1]]}
    assert status(caller, jobs[0])["status"] == "IN_PROGRESS"


def test_draining_ends_the_polls_soon_and_hands_out_nothing(
    runpod: RunningRunpod, caller: httpx.Client, worker: httpx.Client
) -> None:
    run(caller)
    runpod.control(drain=True)
    try:
        began = time.monotonic()
        assert worker.get("/job-take/w1?gpu=none&job_in_progress=0").status_code == 204
        assert 0.1 < time.monotonic() - began < 2
    finally:
        runpod.control(drain=False)
    assert take(worker)["input"] == {}


def test_a_worker_without_its_key_is_refused_slowly(runpod: RunningRunpod) -> None:
    began = time.monotonic()
    url = f"{runpod.base_url}/ep/job-take/w1?gpu=none&job_in_progress=0"
    answer = httpx.get(url, headers={"Authorization": API_KEY}, trust_env=False)
    assert answer.status_code == 401
    assert time.monotonic() - began >= runpod.settings.refusal_delay


def test_the_platform_says_at_once_that_a_worker_is_gone(
    runpod: RunningRunpod, caller: httpx.Client, worker: httpx.Client
) -> None:
    platform = Platform(runpod.url, API_KEY)
    job_id = run(caller)
    take(worker, "mortal")
    assert "mortal" in platform.report().workers

    platform.tell_gone(["mortal"])

    assert "mortal" not in platform.report().workers
    assert status(caller, job_id)["status"] == "IN_QUEUE"
    finish(worker, job_id, {"output": "from beyond"}, "mortal")
    assert status(caller, job_id)["status"] == "IN_QUEUE"
    assert take(worker, "heir")["id"] == job_id


def test_a_worker_that_asked_to_be_stopped_is_named(
    runpod: RunningRunpod, caller: httpx.Client, worker: httpx.Client
) -> None:
    job_id = run(caller)
    take(worker, "tired")
    finish(worker, job_id, {"output": 1, "stopPod": True}, "tired")
    assert status(caller, job_id)["status"] == "COMPLETED"
    assert "tired" in Platform(runpod.url, API_KEY).report().retired


def test_an_emulator_that_is_down_tells_nothing() -> None:
    platform = Platform("http://127.0.0.1:9", API_KEY)
    platform.drain()
    assert platform.report().workers == []
