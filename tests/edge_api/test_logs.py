"""What a running process writes down: JSON lines with request ids, and no secret ever."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from edge_api.storage.migrate import upgrade
from infra.local.store import ServedStore
from shared.logs import JsonLines, log_context
from tests.edge_api.phone import Phone
from tests.edge_api.service import environment, open_engine
from tests.edge_api.worker import Worker

Json = dict[str, Any]

DEVICE = "canary-device-hash"
REQUEST = "canary-request-1234"


@contextmanager
def serving(environ: dict[str, str], folder: Path) -> Generator[tuple[str, Path]]:
    """`python -m edge_api serve` on a free port; its address and the file of its stderr."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    written = folder / "stderr.jsonl"
    with written.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_api", "serve", "--port", str(port)],
            env={"PATH": os.environ["PATH"]} | environ,
            stdout=stderr,
            stderr=stderr,
        )
        try:
            _wait_for_health(process, f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}", written
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in {0, -signal.SIGTERM}


def _wait_for_health(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the service ended"
        try:
            if httpx.get(f"{url}/health", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the service did not start")


def make_noise(api: httpx.Client, settings: dict[str, str], database_url: str) -> list[str]:
    """A whole flow with every kind of trouble; returns the secrets that it made."""
    phone = Phone(api).sign_up(DEVICE)
    job = phone.create(2)
    phone.upload(job)
    path = f"/jobs/{job['job_id']}"
    phone.data("POST", f"{path}/confirm-upload")
    phone.execute(job["job_id"])
    worker = Worker(api, _message(database_url, phone, job["job_id"]), _current(settings))
    assert worker.processed(0)
    forged = worker.send(worker.result(1), headers={"webhook-signature": "v1,canary-signature"})
    assert forged.status_code == 403
    polled = phone.job(job["job_id"])
    api.get("/me", headers={"Authorization": "Bearer canary-token"})
    api.get("/jobs?cursor=x&X-Amz-Signature=canary-query", headers={"X-Request-ID": REQUEST})
    api.get("/nope?X-Amz-Signature=canary-query")
    api.post("/auth/anon", content=b'{"device_hash": "canary-body')
    _break_the_database(api, database_url)
    urls = [target["url"] for target in job["presigned_urls"]]
    urls += [polled["download_urls"][0]["output_url"], polled["download_urls"][0]["preview_url"]]
    return [phone.token, *(httpx.URL(url).params["X-Amz-Signature"] for url in urls)]


def _current(settings: dict[str, str]) -> str:
    return settings["GPU_CALLBACK_SECRET"].split(",")[0]


def _message(database_url: str, phone: Phone, job_id: str) -> Json:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        dispatch_id = connection.execute(text("SELECT id FROM dispatches")).scalar_one()
    engine.dispose()
    folder = f"{phone.user_id}/{job_id}"
    items = [
        {
            "idx": idx,
            "output_key": f"outputs/{folder}/{idx}_result.png",
            "preview_key": f"previews/{folder}/{idx}_thumb.jpg",
        }
        for idx in range(2)
    ]
    return {
        "job_id": job_id,
        "dispatch_id": dispatch_id,
        "attempt": 1,
        "idempotency_prefix": job_id,
        "items": items,
    }


def _break_the_database(api: httpx.Client, database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE users RENAME TO users_gone"))
    body = {"device_hash": f"{DEVICE}-2"}
    assert api.post("/auth/anon", json=body).status_code == 500
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE users_gone RENAME TO users"))
    engine.dispose()


@pytest.fixture(scope="module")
def log(store: ServedStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """What the process wrote, and the secrets that were about."""
    folder = tmp_path_factory.mktemp("logs")
    url = f"sqlite:///{folder / 'edge.db'}"
    upgrade(url)
    # Nothing listens at the address for Runpod: the dispatcher has something to complain about.
    settings = environment(store, url) | {
        "RUNPOD_BASE_URL": "http://127.0.0.1:9/v2",
        "LOG_LEVEL": "DEBUG",
        "JWT_SECRET": "canary-jwt-" + "j" * 32,
        "RUNPOD_API_KEY": "canary-runpod-key",
    }
    with (
        serving(settings, folder) as (address, written),
        httpx.Client(base_url=address, trust_env=False) as api,
    ):
        secrets = make_noise(api, settings, url)
    secrets += settings["GPU_CALLBACK_SECRET"].split(",")
    secrets += [settings["R2_SECRET_ACCESS_KEY"]]
    return written.read_text(), secrets


def lines(written: str) -> list[Json]:
    return [json.loads(line) for line in written.splitlines()]


def test_every_line_is_json_with_the_same_fields(log: tuple[str, list[str]]) -> None:
    for line in lines(log[0]):
        assert {"time", "level", "logger", "message"} <= set(line)
        assert line["level"] in {"debug", "info", "warning", "error"}
        assert line["time"].endswith("Z")


def test_no_secret_is_written_down(log: tuple[str, list[str]]) -> None:
    written, secrets = log
    assert len(secrets) >= 6
    for secret in secrets:
        assert secret not in written
    # The one canary that belongs there is the request id.
    assert "canary" not in written.replace(REQUEST, "")
    assert "X-Amz-" not in written
    assert "Bearer" not in written


def test_every_request_has_one_line_with_its_id(log: tuple[str, list[str]]) -> None:
    requests = [line for line in lines(log[0]) if line["logger"] == "edge_api.access"]
    paths = [line["path"] for line in requests]
    assert paths.count("/nope") == 1
    assert paths.count("/jobs") == 2
    for line in requests:
        assert line["request_id"]
        assert {"method", "path", "status", "ms"} <= set(line)
    (ours,) = [line for line in requests if line["request_id"] == REQUEST]
    assert (ours["method"], ours["path"], ours["status"]) == ("GET", "/jobs", 401)
    confirmed = next(line for line in requests if line["path"].endswith("/confirm-upload"))
    assert confirmed["user_id"].startswith("user_")


def test_what_was_not_foreseen_has_its_traceback_and_request_id(
    log: tuple[str, list[str]],
) -> None:
    (line,) = [line for line in lines(log[0]) if line["message"] == "unhandled error"]
    assert line["level"] == "error"
    assert "OperationalError" in line["traceback"]
    status = {
        entry["request_id"]: entry["status"]
        for entry in lines(log[0])
        if entry["logger"] == "edge_api.access"
    }
    assert status[line["request_id"]] == 500


def test_the_loops_say_what_they_do(log: tuple[str, list[str]]) -> None:
    refused = [line for line in lines(log[0]) if line["message"] == "dispatch refused"]
    assert refused
    assert refused[0]["reason"] == "POST failed: ConnectError"
    assert refused[0]["job_id"].startswith("job_")


def _format(message: str, **extra: object) -> str:
    logger = logging.getLogger("test")
    record = logger.makeRecord("test", logging.INFO, "f", 1, message, (), None, extra=extra)
    return JsonLines().format(record)


@pytest.mark.parametrize("message", ["two\nlines", 'a "quote"', "\u2028 한국어 \x00 \x1b[31m"])
def test_a_message_stays_on_one_line(message: str) -> None:
    line = _format(message)
    assert len(line.split("\n")) == 1
    assert json.loads(line)["message"] == message


def test_extra_values_of_any_type_are_written() -> None:
    written = _format("m", path=Path("/x"), error=ValueError("bad"), count=3, data={"a": [1]})
    line = json.loads(written)
    assert (line["path"], line["error"], line["count"], line["data"]) == (
        "/x",
        "bad",
        3,
        {"a": [1]},
    )


def test_outside_a_request_there_is_no_request_id() -> None:
    assert "request_id" not in json.loads(_format("m"))
    with log_context(request_id="abc"):
        assert json.loads(_format("m"))["request_id"] == "abc"
