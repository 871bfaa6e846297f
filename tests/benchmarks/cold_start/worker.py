"""The real handler in a fresh process, from its start to its second photo."""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import httpx
import msgspec
import psutil
from msgspec import Struct

from infra.local.runpod.environment import WorkerSeat, worker_environment
from infra.local.runpod.serving import RunningRunpod

ROOT = Path(__file__).parents[3]
PATIENCE = 600.0
"""Seconds: with other work on a machine, compiling takes most of them."""
GIVEN = msgspec.json.decode((ROOT / "test_input.json").read_bytes())["input"]


class Way(Struct, frozen=True):
    """How a worker is started: `prelude` runs before the entry point is imported, and the variables
    in `fresh` name a folder that is empty each time."""

    name: str
    prelude: str = ""
    flags: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}
    fresh: tuple[str, ...] = ()


class Begun(Struct, frozen=True):
    """`stages` as the worker's own line tells them, `wall` seconds until that line came out,
    `cpu` seconds of the process and its children until then. `taken` lies between that line and the
    first job's beginning, `first` is what that photo then took, `second` the next one from request
    to answer. `compiled` lies between that line and the compiled layers."""

    stages: Mapping[str, float]
    wall: float
    cpu: float
    taken: float = 0.0
    first: float = 0.0
    second: float = 0.0
    compiled: float | None = None


def begin(
    way: Way, runpod: RunningRunpod, settings: Mapping[str, str], *, photos: bool = False
) -> Begun:
    """Start one, let it do two `photos` and compile what it wants to compile, and kill it.

    Raises RuntimeError with its last words where it is not ready in time.
    """
    endpoint = f"cold-{time.monotonic_ns()}"
    environ = _environment(runpod, endpoint) | dict(settings) | dict(way.environ)
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryDirectory(prefix="cold-start-") as empty,
        runpod.client(endpoint) as client,
    ):
        environ |= dict.fromkeys(way.fresh, empty)
        waiting = client.post("/run", json={"input": GIVEN}) if photos else None
        started = time.monotonic()
        process = subprocess.Popen(
            _argv(way), cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            lines = _Lines(process.stdout)
            stages = lines.wait_for("start")["start"]
            begun = Begun(stages, time.monotonic() - started, _cpu(process.pid))
            if waiting is None:
                return begun
            first = _await(client, waiting)
            ready, taken = lines.at("ready in"), lines.at("Started.")
            second = _photo(client)
            compiles = environ.get("SAM3_COMPILE") == "on"
            return msgspec.structs.replace(
                begun,
                taken=taken - ready,
                first=first - taken,
                second=second,
                compiled=lines.at("sam3 layers compiled") - ready if compiles else None,
            )
        except LookupError as error:
            said.seek(0)
            raise RuntimeError(said.read()[-2000:].decode(errors="replace")) from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


class _Lines:
    """What a process says, with the moment of each line."""

    def __init__(self, output: IO[bytes]) -> None:
        self._seen: list[tuple[float, dict[str, Any]]] = []
        self._queue: queue.Queue[tuple[float, dict[str, Any]] | None] = queue.Queue()
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def wait_for(self, key: str) -> dict[str, Any]:
        """The first line that has `key`. Raises LookupError where none comes."""
        return self._first(lambda line: key in line)[1]

    def at(self, message: str) -> float:
        """When the first line came with that in its message. Raises LookupError."""
        return self._first(lambda line: message in str(line.get("message")))[0]

    def _first(self, fits: Callable[[dict[str, Any]], bool]) -> tuple[float, dict[str, Any]]:
        for entry in self._seen:
            if fits(entry[1]):
                return entry
        deadline = time.monotonic() + PATIENCE
        while entry := self._next(deadline):
            if fits(entry[1]):
                return entry
        raise LookupError("the worker ended, or took too long")

    def _next(self, deadline: float) -> tuple[float, dict[str, Any]] | None:
        try:
            entry = self._queue.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            return None
        if entry is not None:
            self._seen.append(entry)
        return entry

    def _read(self, output: IO[bytes]) -> None:
        for line in output:
            with suppress(msgspec.DecodeError, msgspec.ValidationError):
                told = msgspec.json.decode(line, type=dict[str, Any])
                self._queue.put((time.monotonic(), told))
        self._queue.put(None)


def _argv(way: Way) -> Sequence[str]:
    if not way.prelude:
        return [sys.executable, *way.flags, "-u", "-m", "gpu_handler.handler"]
    entry = "import sys\nfrom gpu_handler.handler import main\nsys.exit(main())"
    return [sys.executable, *way.flags, "-u", "-c", f"{way.prelude}\n{entry}"]


def _environment(runpod: RunningRunpod, endpoint: str) -> dict[str, str]:
    seat = WorkerSeat(
        base_url=runpod.base_url,
        endpoint_id=endpoint,
        worker_id=f"{endpoint}-worker",
        worker_key=runpod.settings.worker_key,
    )
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("RUNPOD_")}
    nowhere = "http://127.0.0.1:9"  # what the photo is needs no store: it comes with the request
    return inherited | worker_environment(seat) | {
        "STORAGE_S3_ENDPOINT": nowhere,
        "STORAGE_ACCESS_KEY": "key",
        "STORAGE_SECRET_KEY": "key",
        "STORAGE_BUCKET": "bucket",
        "GPU_CALLBACK_SECRET": "s" * 32,
        "BATCH_CONCURRENCY": "1",
    }  # fmt: skip


def _cpu(pid: int) -> float:
    """Of the process and of the children that have ended: the SDK starts some."""
    return sum(psutil.Process(pid).cpu_times()[:4])


def _await(client: httpx.Client, submitted: httpx.Response) -> float:
    """When the job was seen to be done."""
    job = submitted.raise_for_status().json()["id"]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status = client.get(f"/status/{job}").json()
        if status["status"] == "COMPLETED":
            return time.monotonic()
        if status["status"] not in ("IN_QUEUE", "IN_PROGRESS"):
            raise RuntimeError(str(status)[:2000])
        time.sleep(0.01)
    raise LookupError(job)


def _photo(client: httpx.Client) -> float:
    asked = time.monotonic()
    return _await(client, client.post("/run", json={"input": GIVEN})) - asked
