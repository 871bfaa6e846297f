"""Both programs as they will be deployed: the API answers, the handler does a job of the emulated
Runpod, of the console's kind.

The command that starts one gets its environment as a file, as a container does.
"""

import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec

from infra.images.rehearsal import StepFailed
from infra.images.starting import STORAGE, api_settings, wait_live
from infra.local.runpod.environment import WorkerSeat, worker_environment
from infra.local.runpod.serving import RunningRunpod, serve_runpod
from infra.local.runpod.settings import RunpodSettings

ENDPOINT = "smoke"
PATIENCE = 240.0
"""Seconds for a worker to start, unpack its image on a slow disk included, and to do one photo."""

Command = Callable[[Path], Sequence[str]]
"""What to start, from a file of lines `NAME=value` that it is told."""


API_PORT = 8787
"""What the API's image listens on."""


def container(image: str, volume: str) -> Command:
    """`image` on the host's network, as read-only as compose.yaml runs it but for `volume`."""

    def command(settings: Path) -> Sequence[str]:
        mounts = ["--read-only", "--tmpfs", "/tmp:mode=1777", "--volume", volume]  # noqa: S108
        host = ["--network", "host", "--env-file", str(settings)]
        return ["docker", "run", "--rm", *host, *mounts, "--cap-drop", "ALL", image]

    return command


def smoke_api(command: Command, port: int = API_PORT) -> int:
    """What `/health/live` answers: 200. Raises StepFailed."""
    with _started(command, api_settings()) as (process, log):
        return wait_live(f"http://127.0.0.1:{port}/health/live", process, log)


def smoke_handler(command: Command, given: object) -> Mapping[str, Any]:
    """The output of a worker for the input `given`. Raises StepFailed."""
    keys = RunpodSettings(api_key=secrets.token_hex(16), worker_key=secrets.token_hex(16))
    with (
        serve_runpod(keys) as runpod,
        _started(command, _environment(runpod)) as (worker, log),
    ):
        try:
            return _done(runpod, worker, given)
        except StepFailed as error:
            tail = log.read_text(errors="replace").splitlines()[-20:]
            raise StepFailed("\n".join([str(error), *tail])) from None


@contextmanager
def _started(
    command: Command, environ: Mapping[str, str]
) -> Generator[tuple[subprocess.Popen[bytes], Path]]:
    """The process and its log; told to end, and then not asked."""
    with tempfile.TemporaryDirectory(prefix="smoke-") as folder:
        settings, log = Path(folder) / "settings", Path(folder) / "log"
        settings.touch(mode=0o600)
        settings.write_text("".join(f"{name}={value}\n" for name, value in environ.items()))
        with log.open("wb") as said:
            process = subprocess.Popen(  # noqa: S603 - what the caller asks for
                command(settings), stdout=said, stderr=said, start_new_session=True
            )
        try:
            yield process, log
        finally:
            _stop(process)


def _environment(runpod: RunningRunpod) -> dict[str, str]:
    seat = WorkerSeat(
        base_url=runpod.base_url,
        endpoint_id=ENDPOINT,
        worker_id="smoke-worker",
        worker_key=runpod.settings.worker_key,
    )
    secret = {"GPU_CALLBACK_SECRET": secrets.token_hex(32)}
    return {**worker_environment(seat), **STORAGE, **secret, "SEGMENTER": "classical"}


def _done(
    runpod: RunningRunpod, worker: subprocess.Popen[bytes], given: object
) -> Mapping[str, Any]:
    with runpod.client(ENDPOINT) as client:
        job = client.post("/run", json={"input": given}).raise_for_status().json()["id"]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = _status(client, job)
            if status["status"] == "COMPLETED":
                return msgspec.convert(status["output"], dict[str, Any])
            if status["status"] not in ("IN_QUEUE", "IN_PROGRESS"):
                raise StepFailed(f"{status['status']}: {status.get('error')}")
            if worker.poll() is not None:
                raise StepFailed(f"the worker ended with {worker.returncode}")
            time.sleep(0.2)
    raise StepFailed(f"no result within {PATIENCE:.0f} s")


def _status(client: httpx.Client, job: str) -> dict[str, Any]:
    return client.get(f"/status/{job}").raise_for_status().json()


def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        worker.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(10)
