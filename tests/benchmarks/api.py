"""The service under its two heaviest calls: a job of 200 photos created, and read when done."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from sqlalchemy import Connection, Engine, create_engine, update

from edge_api.domain.ids import new_id
from edge_api.domain.jobs import JobStatus
from edge_api.services.settlement import cancel_job, record_result
from edge_api.storage.dispatches import DispatchState, insert_dispatch, move
from edge_api.storage.jobs import Execution, advance_job, queue_job
from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.tables import users
from shared.keys import output_key, preview_key
from shared.messages import ItemResult, ItemStatus, idempotency_key
from tests.benchmarks.table import heading, latency_row, repeated, timed

ITEMS = 200
ROUNDS = 30


def run() -> None:
    """Print latencies in milliseconds, alone and beside another caller."""
    heading(f"API: one process, SQLite, jobs of {ITEMS} photos, ms", "median", "max")
    with TemporaryDirectory() as folder:
        database = Path(folder) / "edge.db"
        with _serving(database) as base, httpx.Client(base_url=base, timeout=30) as phone:
            _measure(phone, create_engine(f"sqlite:///{database}"))


def _measure(phone: httpx.Client, engine: Engine) -> None:
    account = phone.post("/auth/anon").json()["data"]
    phone.headers["Authorization"] = f"Bearer {account['token']}"
    user_id = account["user_id"]
    with engine.begin() as connection:
        _make_professional(connection, user_id)
    latency_row("GET /presets, alone", repeated(lambda: phone.get("/presets"), 200))
    with _asking(phone) as meanwhile:
        created = [_create_and_cancel(phone, engine) for _ in range(ROUNDS)]
    latency_row("POST /jobs", created)
    latency_row("GET /presets, meanwhile", meanwhile)
    job_id = _create(phone)
    with engine.begin() as connection:
        _finish(connection, user_id, job_id)
    with _asking(phone) as meanwhile:
        first, answer = timed(lambda: phone.get(f"/jobs/{job_id}"))
        again = repeated(lambda: phone.get(f"/jobs/{job_id}"), ROUNDS)
    assert len(answer.json()["data"]["job"]["download_urls"]) == ITEMS
    latency_row("GET /jobs/{id}, all done, first", [first])
    latency_row("GET /jobs/{id}, all done, polled", again)
    latency_row("GET /presets, meanwhile", meanwhile)


def _make_professional(connection: Connection, user_id: str) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(plan="pro"))
    move_credits(connection, user_id, Kind.ADJUST, ITEMS * (ROUNDS + 2), time.time(), None)


def _create(phone: httpx.Client) -> str:
    answer = phone.post("/jobs", json={"preset": "interior", "item_count": ITEMS})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["job_id"]


def _create_and_cancel(phone: httpx.Client, engine: Engine) -> float:
    seconds, job_id = timed(lambda: _create(phone))
    with engine.begin() as connection:
        cancel_job(connection, job_id, time.time())
    return seconds


def _finish(connection: Connection, user_id: str, job_id: str) -> None:
    now, dispatch_id = time.time(), new_id("dispatch")
    advance_job(connection, job_id, JobStatus.UPLOADED, confirmed_at=now)
    queue_job(connection, job_id, Execution({}, [], [], None, "benchmark"), now)
    insert_dispatch(connection, dispatch_id, job_id, 1, now + 3600)
    for idx in range(ITEMS):
        result = ItemResult(
            idx=idx,
            status=ItemStatus.DONE,
            idempotency_key=idempotency_key(job_id, idx, 1),
            dispatch_id=dispatch_id,
            attempt=1,
            runpod_job_id="benchmark",
            output_key=output_key(user_id, job_id, idx),
            preview_key=preview_key(user_id, job_id, idx),
        )
        assert record_result(connection, job_id, result, now)
    move(connection, dispatch_id, (DispatchState.NEW,), DispatchState.ENDED)


@contextmanager
def _asking(phone: httpx.Client) -> Generator[list[float]]:
    """Somebody else asks all the while; yields the seconds of each answer."""
    waits, stop = list[float](), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=phone.base_url, headers=phone.headers) as other:
            while not stop.wait(0.005):
                waits.append(timed(lambda: other.get("/presets"))[0])

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()


@contextmanager
def _serving(database: Path) -> Generator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    nowhere = "http://127.0.0.1:9"
    settings = {
        "DATABASE_URL": f"sqlite:///{database}",
        "JWT_SECRET": "benchmark-benchmark-benchmark-00",
        "GPU_CALLBACK_SECRET": "benchmark-benchmark-benchmark-00",
        "R2_ENDPOINT_URL": nowhere,
        "R2_ACCESS_KEY_ID": "key",
        "R2_SECRET_ACCESS_KEY": "secret",
        "RUNPOD_API_KEY": "key",
        "RUNPOD_ENDPOINT_ID": "endpoint",
        "RUNPOD_BASE_URL": nowhere,
        "PUBLIC_URL": base,
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_api", "serve", "--port", str(port)],
        env={"PATH": os.environ["PATH"], **settings},
    )
    try:
        _wait(base, process)
        yield base
    finally:
        process.terminate()
        process.wait(10)


def _wait(base: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the service ended while starting"
        try:
            httpx.get(f"{base}/docs")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the service did not start")
