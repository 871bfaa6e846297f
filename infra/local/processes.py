"""Child processes that never outlive this one: how one is started, watched and stopped."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from msgspec import Struct

from infra.local.logs import tail

# -I -S: as small and quick as an interpreter gets, whatever the environment says.
GUARDIAN = (sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py")))
PROJECT_ROOT = Path(__file__).parents[2]
PLEASE_STOP = b"T"


class NotStarted(Exception):
    """The command could not be run at all; the text is one line."""


class Command(Struct, frozen=True, kw_only=True):
    """`env` is the whole environment of the process: nothing is inherited."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Command({self.name}: {' '.join(self.argv)})"


class Child:
    """A running command, and the guardian that stands between.

    `pid` is the command's own; it leads a session and a process group. What leaves that group by
    itself is out of reach. Output goes to `log_path`, each line with the time and the name.
    Safe to use from several threads.
    """

    def __init__(self, command: Command, log_path: Path) -> None:
        """Raises NotStarted."""
        self.name = command.name
        self.log_path = log_path
        self._code: int | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._guardian, self.pid = _start(command, log_path)
        self.guardian_pid = self._guardian.pid
        threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True).start()

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, 128 + n after signal n; None when it is still running after `timeout`
        seconds (None: for ever). When it has ended, so has its whole group."""
        self._ended.wait(timeout)
        return self._code

    def poll(self) -> int | None:
        return self._code

    def terminate(self) -> None:
        """SIGTERM to the command alone, as a container's first process gets it."""
        with self._lock, suppress(BrokenPipeError):
            if not _control(self._guardian).closed:
                _control(self._guardian).write(PLEASE_STOP)

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when it is gone."""
        self._hang_up()
        self._ended.wait()

    def stop(self, grace: float) -> None:
        """SIGTERM, up to `grace` seconds of patience, SIGKILL."""
        self.terminate()
        if self.wait(grace) is None:
            self.kill()

    def _watch(self) -> None:
        code = self._guardian.wait()
        if code < 0:
            # Somebody killed the guardian, which leaves its work to us.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._hang_up()
        self._code = code if code >= 0 else 128 - code
        self._ended.set()

    def _hang_up(self) -> None:
        with self._lock:
            _control(self._guardian).close()


def _start(command: Command, log_path: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The guardian, and the pid that it reports."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as report:
        try:
            guardian = _start_guardian(command, log_path, writing)
        finally:
            os.close(writing)
        try:
            pid = report.readline()
            if not pid:
                raise NotStarted(tail(log_path, 1) or f"{command.name}: its guardian ended")
        except BaseException:  # an interrupt too: what is not handed on must not stay
            _control(guardian).close()
            guardian.wait()
            raise
    return guardian, int(pid)


def _start_guardian(command: Command, log_path: Path, report: int) -> subprocess.Popen[bytes]:
    try:
        with log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command line
                [*GUARDIAN, str(report), str(log_path), command.name, *command.argv],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(report,),
                start_new_session=True,
                cwd=PROJECT_ROOT,
                env=dict(command.env),
            )
    except OSError as error:
        raise NotStarted(f"{command.name}: {error.strerror}") from error


def _control(guardian: subprocess.Popen[bytes]) -> IO[bytes]:
    assert guardian.stdin is not None
    return guardian.stdin
