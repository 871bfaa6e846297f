"""The real SDK process against the local Runpod and the embedded store: start, work, stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from gpu_handler.imaging.preview import encode_preview
from infra.local.control import Platform
from infra.local.pods import Pod
from infra.local.processes import Child, Command
from infra.local.runpod.environment import WorkerSeat, worker_environment
from infra.local.runpod.serving import RunningRunpod, serve_runpod
from infra.local.runpod.settings import RunpodSettings
from infra.local.store import ServedStore, serve_store
from shared.keys import input_key
from shared.messages import ItemResult, JobMessage, JobSummary
from shared.objects import ObjectStore
from tests.gpu_handler.conftest import JOB, SECRET, USER, Lab, make_photo

LONG_POLL = 20.0
"""Longer than any test waits: a worker that left only with its poll would be noticed."""

T = TypeVar("T")


class Api(msgspec.Struct):
    """Takes callbacks as the API does."""

    url: str
    results: list[ItemResult]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServedStore]:
    with serve_store(tmp_path_factory.mktemp("store")) as served:
        yield served


@pytest.fixture(scope="module")
def runpod() -> Generator[RunningRunpod]:
    settings = RunpodSettings(api_key="api-key", worker_key="worker-key", long_poll=LONG_POLL)
    with serve_runpod(settings) as running:
        yield running


@pytest.fixture
def api() -> Generator[Api]:
    results: list[ItemResult] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            results.append(msgspec.json.decode(body, type=ItemResult))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Api(f"http://127.0.0.1:{server.server_port}/jobs/{JOB}/callback", results)
    server.shutdown()
    server.server_close()
    thread.join()


class Running(msgspec.Struct):
    """A worker process and where it writes its log."""

    process: subprocess.Popen[bytes]
    output: Path

    def within(self, seconds: float, ask: Callable[[], T | None]) -> T:
        """The first answer of `ask` that is not None."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # Asked after the look at the process: what it did last counts.
            alive = self.process.poll() is None
            if (answer := ask()) is not None:
                return answer
            assert alive, f"the worker ended:\n{self.output.read_text()}"
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; the worker:\n{self.output.read_text()}")


def environment(
    runpod: RunningRunpod, store: ServedStore, endpoint: str, worker_id: str
) -> dict[str, str]:
    """What a worker of `endpoint` is told, with `BATCH_CONCURRENCY` 1."""
    seat = WorkerSeat(
        base_url=runpod.base_url,
        endpoint_id=endpoint,
        worker_id=worker_id,
        worker_key=runpod.settings.worker_key,
    )
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RUNPOD_")},
        **worker_environment(seat),
        "STORAGE_S3_ENDPOINT": store.endpoint,
        "STORAGE_ACCESS_KEY": store.access_key,
        "STORAGE_SECRET_KEY": store.secret_key,
        "STORAGE_BUCKET": store.bucket,
        "GPU_CALLBACK_SECRET": SECRET,
        "BATCH_CONCURRENCY": "1",
        "SEGMENTER": "classical",
    }


@contextmanager
def worker(
    runpod: RunningRunpod, store: ServedStore, output: Path, endpoint: str
) -> Generator[Running]:
    """The one worker of `endpoint`; killed in the end, if need be."""
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "gpu_handler.handler"],
            env=environment(runpod, store, endpoint, f"{endpoint}-worker"),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Running(process, output)
        finally:
            # The SDK's ping process would outlive a parent that is killed alone.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def upload(
    store: ServedStore, count: int, callback_url: str, width: int = 1600, height: int = 1200
) -> JobMessage:
    objects = ObjectStore(store.endpoint, store.bucket, store.access_key, store.secret_key)
    photo = encode_preview(make_photo(0, width, height))
    for idx in range(count):
        objects.put(input_key(USER, JOB, idx), photo, "image/jpeg")
    return msgspec.structs.replace(Lab().message(count), callback_url=callback_url)


def submit(client: httpx.Client, message: JobMessage) -> str:
    answer = client.post("/run", json={"input": msgspec.to_builtins(message)})
    return answer.raise_for_status().json()["id"]


def ended(client: httpx.Client, job_id: str) -> dict[str, Any] | None:
    job = client.get(f"/status/{job_id}").json()
    return None if job["status"] in ("IN_QUEUE", "IN_PROGRESS") else job


def was_let_go(log: str) -> bool:
    """Whether a cancelled job ended: with its summary, or dropped by a second cancellation.

    The SDK hears of a stop with each poll until the job is gone, and cancels it each time.
    """
    return "stopped: cancelled" in log or '"Job stopped."' in log


def test_worker_does_jobs_stops_between_photos_and_leaves_when_told(
    runpod: RunningRunpod, store: ServedStore, api: Api, tmp_path: Path
) -> None:
    """One process for the whole story: it takes some seconds to start."""
    output = tmp_path / "worker.log"
    message = upload(store, 12, api.url)
    with runpod.client("busy") as client, worker(runpod, store, output, "busy") as running:
        short = msgspec.structs.replace(message, items=message.items[:2])
        done = submit(client, short)
        job = running.within(30, lambda: ended(client, done))
        assert job["status"] == "COMPLETED"
        summary = msgspec.convert(job["output"], JobSummary)
        assert [item.status for item in summary.items] == ["done", "done"]
        assert summary.stopped is None
        assert {r.idx for r in api.results} == {0, 1}
        assert {r.runpod_job_id for r in api.results} == {done}

        refused = submit(client, msgspec.structs.replace(message, schema_version=9))
        job = running.within(10, lambda: ended(client, refused))
        assert job["status"] == "FAILED"
        assert job["error"].startswith("UNSUPPORTED_SCHEMA")

        api.results.clear()
        cancelled = submit(client, message)
        running.within(10, lambda: api.results or None)
        client.post(f"/cancel/{cancelled}").raise_for_status()
        running.within(10, lambda: was_let_go(output.read_text()) or None)
        assert 1 <= len(api.results) < 12

        api.results.clear()
        stopped = submit(client, message)
        running.within(10, lambda: api.results or None)
        running.process.terminate()
        assert running.process.wait(10) == 0
        job = running.within(5, lambda: ended(client, stopped))

    summary = msgspec.convert(job["output"], JobSummary)
    assert summary.stopped == "shutdown"
    assert 1 <= len(summary.items) < 12
    assert {item.idx for item in summary.items} == {r.idx for r in api.results}
    told = output.read_text()
    assert SECRET not in told
    assert store.secret_key not in told
    assert "Traceback" not in told


def test_idle_worker_leaves_at_once_and_takes_nothing_more(
    runpod: RunningRunpod, store: ServedStore, tmp_path: Path
) -> None:
    output = tmp_path / "worker.log"
    with runpod.client("idle") as client, worker(runpod, store, output, "idle") as running:

        def idle() -> bool | None:
            return client.get("/health").json()["workers"]["idle"] > 0 or None

        running.within(30, idle)
        time.sleep(0.5)  # its first long poll is under way
        running.process.terminate()
        assert running.process.wait(5) == 0, output.read_text()


LOSING = """
import os, sys
from pathlib import Path

from gpu_handler.adapters import find_adapter
from gpu_handler.handler import choose_brushwork, work
from gpu_handler.devices.errors import DeviceLost
from gpu_handler.segment.classical import ClassicalSegmenter
from gpu_handler.settings import Settings
from gpu_handler.start import Start


class Losing(ClassicalSegmenter):
    calls = 0

    def segment(self, photos, concepts):
        self.calls += 1
        if self.calls == 3:
            raise DeviceLost("CUDA error: an illegal memory access was encountered")
        return super().segment(photos, concepts)


second = Path(sys.argv[1]).exists()
Path(sys.argv[1]).touch()
settings = Settings.from_env(os.environ)
serve, engine = find_adapter(settings.adapter), ClassicalSegmenter() if second else Losing()
work(settings, serve, engine, choose_brushwork(settings), Start())
"""
"""The real worker whose engine, in the first process alone, is lost at its third photo."""


def test_worker_whose_device_is_lost_says_so_for_every_photo_and_is_replaced(
    runpod: RunningRunpod, store: ServedStore, api: Api, tmp_path: Path
) -> None:
    message = upload(store, 4, api.url, 320, 240)

    def start(worker_id: str) -> Child:
        argv = (sys.executable, "-u", "-c", LOSING, str(tmp_path / "started"))
        env = environment(runpod, store, "losing", worker_id)
        return Child(Command(name="worker", argv=argv, env=env), tmp_path / "worker.log")

    with runpod.client("losing") as client:
        # Both are waiting when the worker comes, so it takes them together.
        ids = [submit(client, message) for _ in range(2)]
        pod = Pod("worker", start, Platform(runpod.url, runpod.settings.api_key))
        try:
            jobs = [within(30, lambda id_=id_: ended(client, id_)) for id_ in ids]
            fresh = submit(client, message)
            after = within(30, lambda: ended(client, fresh))
        finally:
            pod.begin_stop()
            pod.finish_stop(5)

    told = (tmp_path / "worker.log").read_text()
    summaries = [msgspec.convert(job["output"], JobSummary) for job in jobs]
    items = [item for summary in summaries for item in summary.items]
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 2, told
    assert not any("refresh_worker" in job["output"] for job in jobs)
    assert [len(summary.items) for summary in summaries] == [4, 4]
    assert sum(item.status == "done" for item in items) == 2
    errors = {(e.code, e.retryable) for item in items if (e := item.error)}
    assert errors == {("DEVICE_LOST", True)}
    assert told.count("a fresh worker is asked for") == 2
    assert "illegal memory access" in told

    assert after["status"] == "COMPLETED", told
    assert after["workerId"] not in {job["workerId"] for job in jobs}
    assert {item["status"] for item in after["output"]["items"]} == {"done"}


def within(seconds: float, ask: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")
