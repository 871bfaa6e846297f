"""The faults do what they say, to a process that runs already."""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos import disk
from tests.chaos.clock import Clock

TELL_TIME = "import time\nwhile input(): print(time.time(), flush=True)"
WRITE = """
from pathlib import Path
while name := input():
    try:
        print(Path(name).write_bytes(bytes(1000)), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


class Talker:
    """A Python process that answers each line with one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.pid = process.pid
        self._process = process

    def ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def talker(code: str, env: Mapping[str, str]) -> Generator[Talker]:
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **env},
        text=True,
    ) as process:
        yield Talker(process)
        process.communicate("\n")


def test_a_clock_jumps_and_comes_back(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    with talker(TELL_TIME, clock.env) as process:
        assert abs(float(process.ask("?")) - time.time()) < 5
        clock.set(-600.0)
        assert abs(float(process.ask("?")) + 600 - time.time()) < 5
        clock.set(0.0)
        assert abs(float(process.ask("?")) - time.time()) < 5


@pytest.mark.skipif(not disk.FEASIBLE, reason="needs prlimit, which Linux alone has")
def test_a_disk_is_full_and_has_room_again(tmp_path: Path) -> None:
    with talker(WRITE, {}) as process:
        assert process.ask(str(tmp_path / "a")) == "1000"
        assert disk.fill(process.pid)
        assert process.ask(str(tmp_path / "b")) == "OSError"
        assert disk.free(process.pid)
        assert process.ask(str(tmp_path / "c")) == "1000"


@pytest.mark.skipif(not disk.FEASIBLE, reason="needs prlimit, which Linux alone has")
def test_a_process_that_is_gone_has_no_disk() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not disk.fill(process.pid)
