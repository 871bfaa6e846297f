"""The emulator as a command."""

import os
import sys
from pathlib import Path

import httpx
import pytest

from infra.local.ports import free_port
from infra.local.probes import is_listening
from infra.local.processes import Child, Command
from tests.infra.runpod.calls import API_KEY, WORKER_KEY, wait_until

KEYS = {"RUNPOD_API_KEY": API_KEY, "RUNPOD_WORKER_KEY": WORKER_KEY}


def start(tmp_path: Path, env: dict[str, str], *arguments: str) -> Child:
    argv = (sys.executable, "-m", "infra.local.runpod", *arguments)
    env = {"PATH": os.environ["PATH"], **env}
    return Child(Command(name="runpod", argv=argv, env=env), tmp_path / "runpod.log")


@pytest.mark.parametrize(
    ("env", "arguments", "reason"),
    [
        ({**KEYS, "ENV": "production"}, [], "ENV: the emulator is not for production"),
        ({**KEYS, "ENV": " PROD"}, [], "ENV: the emulator is not for production"),
        ({"RUNPOD_API_KEY": API_KEY}, [], "RUNPOD_WORKER_KEY: is not set"),
        (KEYS, ["--host", "0.0.0.0"], "--host: the emulator serves this machine only"),
    ],
)
def test_it_refuses_what_it_is_not_for(
    tmp_path: Path, env: dict[str, str], arguments: list[str], reason: str
) -> None:
    child = start(tmp_path, env, "--port", "0", *arguments)
    assert child.wait(20) == 1
    assert reason in child.log_path.read_text()


def test_it_logs_neither_keys_nor_bodies_and_stops_at_once(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    child = start(tmp_path, KEYS, "--port", str(port))
    try:
        wait_until(lambda: is_listening("127.0.0.1", port))
        headers = {"Authorization": f"Bearer {API_KEY}"}
        base_url = f"http://127.0.0.1:{port}/v2/ep"
        body = {"input": {"canary": "c4n4ry"}, "webhook": "http://127.0.0.1:9/c4n4ry"}
        with httpx.Client(base_url=base_url, headers=headers, trust_env=False) as caller:
            job_id: str = caller.post("/run", json=body).json()["id"]
            caller.post("/run?key=c4n4ry", content=b"{c4n4ry")
            caller.post(f"/cancel/{job_id}")
            caller.get("/health", headers={"Authorization": "c4n4ry"})
            wait_until(lambda: "webhook" in child.log_path.read_text())
    finally:
        child.stop(5)
    log = child.log_path.read_text()
    assert f"job {job_id} CANCELLED" in log
    assert not any(secret in log for secret in ("c4n4ry", API_KEY, WORKER_KEY))
    assert "ended with SIGKILL" not in log
