"""Processes whose clock is wrong: the whole of time.time() runs off by what a file says."""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from msgspec import Struct

import tests.chaos

ROOT = Path(__file__).parents[3]
SHIFTED = Path(tests.chaos.__path__[0]) / "shifted"


class Clock(Struct, frozen=True):
    """Set by whoever holds it, read by the process at every look."""

    file: Path

    def set(self, minutes: float) -> None:
        with self.file.open("r+b") as opened:
            opened.write(struct.pack("d", minutes * 60))

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        path = os.pathsep.join([str(SHIFTED), str(ROOT)])
        kept = {"PATH": os.environ["PATH"], "PYTHONPATH": path}
        return {**environ, **kept, "CHAOS_CLOCK_FILE": str(self.file)}


def make_clock(folder: Path) -> Clock:
    file = folder / "clock"
    file.write_bytes(struct.pack("d", 0.0))
    return Clock(file)


_DOCTORS = """
import pathlib, struct, sys
from infra.doctor.command import main
for minutes in map(float, sys.argv[2:]):
    pathlib.Path(sys.argv[1]).open("r+b").write(struct.pack("d", minutes * 60))
    print("==", minutes)
    main(["--no-photo"])
"""


def doctors(clock: Clock, environ: Mapping[str, str], *minutes: float) -> list[list[str]]:
    """The lines that a doctor prints on a machine whose clock is off by so much, for each."""
    ended = subprocess.run(
        [sys.executable, "-c", _DOCTORS, str(clock.file), *map(str, minutes)],
        env=clock.environ(environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    return [part.splitlines() for part in ended.stdout.split("== ")[1:]]


@contextmanager
def api_of(clock: Clock, environ: Mapping[str, str]) -> Generator[str]:
    """The address of an API in a process of its own, on a machine with that clock."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    served = subprocess.Popen(
        [sys.executable, "-m", "edge_api", "serve", "--port", str(port)],
        env=clock.environ({**environ, "PUBLIC_URL": url}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not _answers(url):
            assert served.poll() is None, "the API ended"
            assert time.monotonic() < deadline, "the API did not start"
            time.sleep(0.05)
        yield url
    finally:
        served.terminate()
        served.wait(20)


def until_told(url: str, minutes: float) -> None:
    """uvicorn writes the Date of its answers anew once a second."""
    deadline = time.monotonic() + 10
    while abs(_date(url) - time.time() - minutes * 60) > 5:
        assert time.monotonic() < deadline, "the clock does not show"
        time.sleep(0.05)


def _date(url: str) -> float:
    date = httpx.get(f"{url}/health/live", trust_env=False).headers["date"]
    return parsedate_to_datetime(date).timestamp()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", trust_env=False).is_success
    except httpx.TransportError:
        return False
