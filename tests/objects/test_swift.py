"""Swift itself: nothing of it outlives its context, and its environment is made once and whole."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.objects import swift_environment
from tests.objects.swift_environment import NotMade, swift_python
from tests.objects.swift_server import NotStarted, serve_swift

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from tests.objects.swift_environment import swift_python
from tests.objects.swift_server import serve_swift
with serve_swift(Path(sys.argv[1]), swift_python()) as served:
    print(served.endpoint, flush=True)
    sys.stdin.read()
"""


def build(folder: Path) -> None:
    """A stand-in for the installation, which takes a while and leaves an interpreter."""
    with (folder / "built").open("a") as log:
        log.write("x")
    time.sleep(0.1)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").touch()


def test_who_asks_at_once_gets_one_environment(tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(swift_python, folder, build) for _ in range(4)]
    found = [answer.result() for answer in asking]
    assert found == [folder / "bin" / "python"] * 4
    assert (folder / "built").read_text() == "x"


def test_what_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    def break_off(folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin" / "python").touch()
        raise NotMade("no index")

    folder = tmp_path / "environment"
    for _ in range(2):
        with pytest.raises(NotMade, match="no index"):
            swift_python(folder, break_off)
    assert swift_python(folder, build).exists()
    (folder / "complete").write_text("for other pins")
    (folder / "link").symlink_to(tmp_path)
    assert swift_python(folder, build).exists()
    assert (folder / "built").read_text() == "x"
    assert not (folder / "link").is_symlink()


def test_a_folder_that_cannot_be_written_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotMade, match="environment"):
        swift_python(tmp_path / "file" / "environment", build)


def test_the_pins_are_exact() -> None:
    lines = swift_environment.REQUIREMENTS.read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 10
    assert all(len(pin.split("==")) == 2 for pin in pins)


def test_a_swift_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    before = psutil.Process().children()
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] || { echo "no such $1"; exit 1; }\n')
    python.chmod(0o755)
    folder = tmp_path / "swift"
    folder.mkdir()
    with (
        pytest.raises(NotStarted, match=r"swift-account does not answer: .*no such .*-server"),
        serve_swift(folder, python),
    ):
        pass
    assert set(psutil.Process().children()) <= set(before)


@pytest.mark.usefixtures("swift_server")  # which skips where Swift cannot run
def test_no_process_outlives_whoever_started_it(tmp_path: Path) -> None:
    folder = tmp_path / "swift"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith(b"http://127.0.0.1:")
        started = psutil.Process(holder.pid).children(recursive=True)
        assert len(started) == 8  # four servers, each behind its guardian
        os.kill(holder.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    logs = {path.stem for path in (folder / "logs").iterdir()}
    assert logs == {"account", "container", "object", "proxy"}
