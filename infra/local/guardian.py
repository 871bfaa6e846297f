"""Runs one command that must not outlive its supervisor.

A script of the standard library alone, started by path for each child: it has to be small, and
still be there when the supervisor is killed. It sits between the two:

    supervisor --stdin--> guardian --starts--> command (in a session of its own)

The supervisor keeps the writing end of stdin: one byte asks for SIGTERM, and when the pipe ends,
because it was closed or because the supervisor died, the command's whole process group is killed.
The group is killed as well as soon as the command itself ends, as a container's processes are
when the first one ends. The command's pid is written to the file descriptor named first; its
output goes to a log file, each line with the time and the child's name.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

CHUNK = 65536
LONGEST_LINE = 65536
LARGEST_LOG = 16 * 1024 * 1024
LAST_WORDS_S = 1.0
NOT_STARTED = 127


class Log:
    """Lines `{time} {name} | {text}`. What cannot be written is dropped: a full disk must not
    stop the command. One older file is kept beside it when it grows too large."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._partial = b""

    def feed(self, chunk: bytes) -> None:
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if len(self._partial) > LONGEST_LINE:
            lines.append(self._partial)
            self._partial = b""
        self._write(lines)

    def close(self, remark: str) -> None:
        self._write([self._partial, remark.encode()] if self._partial else [remark.encode()])

    def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
        prefix = f"{stamp} {self._name} | ".encode()
        with contextlib.suppress(OSError), self._path.open("ab") as file:
            file.write(b"".join(prefix + line + b"\n" for line in lines))
            if file.tell() > LARGEST_LOG:
                self._path.replace(self._path.with_suffix(".old.log"))


def main() -> int:
    report_fd, log_path, name, *command = sys.argv[1:]
    log = Log(Path(log_path), name)
    wake_up = _watch_signals()
    try:
        child = subprocess.Popen(  # noqa: S603 - the supervisor's own command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        log.close(f"cannot start {command[0]}: {error.strerror}")
        return NOT_STARTED
    assert child.stdout is not None
    output = child.stdout.fileno()
    try:
        os.write(int(report_fd), f"{child.pid}\n".encode())
        _attend(child, output, wake_up, log)
    finally:  # also where nobody is there any more to take the report
        _kill_group(child.pid)
    code = child.wait()
    _drain(output, log)
    log.close(f"ended with {_describe(code)}")
    return code if code >= 0 else 128 - code


def _watch_signals() -> int:
    """A descriptor that becomes readable when a child ends or somebody asks this process to.

    Handlers, not SIG_IGN: what is ignored here would be ignored in the command too.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _noted)
    return reading


def _noted(_: int, __: FrameType | None) -> None:
    """The wake-up descriptor carries the news."""


def _attend(child: subprocess.Popen[bytes], output: int, wake_up: int, log: Log) -> None:
    """Returns when the command has ended, or must."""
    with selectors.DefaultSelector() as selector:
        for descriptor in (sys.stdin.fileno(), output, wake_up):
            selector.register(descriptor, selectors.EVENT_READ)
        while child.poll() is None:
            for key, _ in selector.select():
                data = os.read(key.fd, CHUNK)
                if key.fd == output:
                    log.feed(data)
                    if not data:
                        selector.unregister(output)
                elif key.fd == wake_up and signal.SIGTERM not in data:
                    continue
                elif key.fd == wake_up or not data:
                    return
                else:
                    child.terminate()


def _kill_group(group: int) -> None:
    # Already gone, or on macOS nothing left in it but a zombie.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _drain(output: int, log: Log) -> None:
    """The last words, unless something that left the group holds the pipe open."""
    deadline = time.monotonic() + LAST_WORDS_S
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            data = os.read(output, CHUNK)
            if not data:
                return
            log.feed(data)


def _describe(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


if __name__ == "__main__":
    sys.exit(main())
