"""HTTP services as child processes, each on a port of its own choosing."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import psutil
from msgspec import Struct

OURS = "edge_api"
"""What `python -m` runs; the others take the same `serve --port`."""

_NOWHERE = "http://127.0.0.1:9"
SECRET = "benchmark-benchmark-benchmark-00"

SETTINGS = {
    "JWT_SECRET": SECRET,
    "GPU_CALLBACK_SECRET": SECRET[::-1],
    "R2_ENDPOINT_URL": _NOWHERE,
    "R2_ACCESS_KEY_ID": "key",
    "R2_SECRET_ACCESS_KEY": "secret",
    "RUNPOD_API_KEY": "key",
    "RUNPOD_ENDPOINT_ID": "endpoint",
    "RUNPOD_BASE_URL": _NOWHERE,
    "PUBLIC_URL": _NOWHERE,
    "LOG_LEVEL": "WARNING",
}

# Counted as ever, but never reached: counting is a part of what a call takes.
LIMITS = {
    "SIGNUPS_PER_HOUR": "100000000",
    "FREE_CREDITS_PER_DAY": "100000000",
    "CALLS_PER_MINUTE": "100000000",
}


class Server(Struct, frozen=True):
    base: str
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        times = self.process.cpu_times()
        return times.user + times.system


@contextmanager
def serving(module: str, database_url: str) -> Generator[Server]:
    """`python -m <module> serve` until the context ends. Raises AssertionError where it ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", module, "serve", "--port", str(port)],
        env={**LIMITS, **os.environ, **SETTINGS, "DATABASE_URL": database_url},
    )
    try:
        _wait(port, process)
        yield Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(15)


@contextmanager
def fleet(module: str, database_url: str, processes: int) -> Generator[list[Server]]:
    """So many processes over one database, as behind a load balancer."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(module, database_url)) for _ in range(processes)]


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{process.args} did not start")
