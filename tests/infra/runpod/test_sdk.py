"""The unmodified worker SDK, as a process of its own, at work for the emulator."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from infra.local.control import Platform
from infra.local.pods import Pod
from infra.local.processes import Child, Command
from infra.local.runpod.environment import WorkerSeat, worker_environment
from infra.local.runpod.serving import RunningRunpod
from tests.infra.runpod.calls import API_KEY, WORKER_KEY, run, status, wait_over, wait_until

HANDLER = """
import asyncio, os, sys
import runpod

async def handler(job):
    wish = job["input"]
    if "mark" in wish:
        with open(wish["mark"], "a") as file:
            print(os.environ["RUNPOD_POD_ID"], file=file)
    await asyncio.sleep(wish.get("sleep", 0))
    if "blow" in wish:
        raise ValueError(wish["blow"])
    if "error" in wish:
        return {"error": wish["error"], "kept": True}
    if "progress" in wish:
        runpod.serverless.progress_update(job, wish["progress"])
        await asyncio.sleep(1.0)
    return {"said": wish.get("say"), "worker": os.environ["RUNPOD_POD_ID"], **wish.get("more", {})}

if __name__ == "__main__":
    runpod.serverless.start({"handler": handler})
"""

StartWorker = Callable[[str], Child]


@pytest.fixture
def start_worker(
    runpod: RunningRunpod, caller: httpx.Client, tmp_path: Path
) -> Iterator[StartWorker]:
    script = tmp_path / "worker.py"
    script.write_text(HANDLER)
    endpoint_id = str(caller.base_url).rstrip("/").rsplit("/", 1)[1]
    with ExitStack() as workers:

        def start(worker_id: str) -> Child:
            seat = WorkerSeat(
                base_url=runpod.base_url,
                endpoint_id=endpoint_id,
                worker_id=worker_id,
                worker_key=WORKER_KEY,
                ping_interval=1,
            )
            env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **worker_environment(seat)}
            command = Command(name=worker_id, argv=(sys.executable, "-u", str(script)), env=env)
            child = Child(command, tmp_path / f"{worker_id}.log")
            workers.callback(child.kill)
            return child

        yield start


def test_the_sdk_runs_fails_cancels_and_reports(
    runpod: RunningRunpod, caller: httpx.Client, start_worker: StartWorker
) -> None:
    start_worker("sdk")
    done = wait_over(caller, run(caller, say="벽"))
    assert done["output"] == {"said": "벽", "worker": "sdk"}

    told = wait_over(caller, run(caller, error={"code": "E_NO"}))
    assert (told["status"], told["error"], told["output"]) == (
        "FAILED",
        {"code": "E_NO"},
        {"kept": True},
    )
    raised = wait_over(caller, run(caller, blow="boom"))
    assert raised["status"] == "FAILED"
    assert json.loads(raised["error"])["error_message"] == "boom"

    endless = run(caller, sleep=600)
    wait_until(lambda: status(caller, endless)["status"] == "IN_PROGRESS")
    cancelled = caller.post(f"/cancel/{endless}").json()
    assert cancelled == {"id": endless, "status": "CANCELLED"}
    # It can only be taken when the cancelled one really ended: the worker does one at a time.
    after = wait_over(caller, run(caller, progress="half way"))
    assert after["status"] == "COMPLETED"

    # The SDK takes any 200 for a receipt: what is lost then stays in progress until its timeout.
    runpod.control(drop_done=1)
    lost = run(caller, say="lost")
    assert wait_over(caller, run(caller, say="next"))["output"]["said"] == "next"
    assert status(caller, lost)["status"] == "IN_PROGRESS"
    assert caller.get("/health").json()["jobs"] == {
        "completed": 3,
        "failed": 2,
        "inProgress": 1,
        "inQueue": 0,
        "retried": 0,
    }


def test_a_worker_that_asks_for_a_fresh_one_is_replaced(
    runpod: RunningRunpod, caller: httpx.Client, start_worker: StartWorker
) -> None:
    """The handler goes on as if nothing was; its container is stopped all the same."""
    pod = Pod("tired", start_worker, Platform(runpod.url, API_KEY))
    try:
        wish = {"refresh_worker": True, "kept": 1}
        job = wait_over(caller, run(caller, say="last", more=wish))
        assert job["status"] == "COMPLETED"
        assert job["output"]["kept"] == 1
        assert "refresh_worker" not in job["output"]
        first = job["output"]["worker"]

        after = wait_over(caller, run(caller, say="first"))
    finally:
        pod.begin_stop()
        pod.finish_stop(0)

    assert after["output"]["worker"] != first
    assert after["output"]["worker"].startswith("tired-")
    assert pod.deaths == 2


def test_a_killed_worker_s_job_is_finished_by_another(
    caller: httpx.Client, start_worker: StartWorker, tmp_path: Path
) -> None:
    mark = tmp_path / "runs"
    victim = start_worker("victim")
    job_id = run(caller, sleep=2, mark=str(mark), say="again")
    wait_until(mark.exists)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait(5) == 128 + signal.SIGKILL
    start_worker("heir")

    ended = wait_over(caller, job_id)

    assert (ended["status"], ended["retries"]) == ("COMPLETED", 1)
    assert ended["output"] == {"said": "again", "worker": "heir"}
    assert mark.read_text().split() == ["victim", "heir"]
