"""Reading the log files that the guardians write."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

TAIL_BYTES = 64 * 1024
POLL_SECONDS = 0.2


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log; empty where there is none yet."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class Echo:
    """Copies what is added to some log files to a stream, until closed."""

    def __init__(self, paths: Iterable[Path], stream: TextIO) -> None:
        self._offsets = {path: _size(path) for path in paths}
        self._stream = stream
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-echo", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(POLL_SECONDS):
            self._copy()
        self._copy()

    def _copy(self) -> None:
        for path, offset in self._offsets.items():
            size = _size(path)
            if size == offset:
                continue
            with path.open("rb") as file:
                file.seek(offset if offset < size else 0)  # smaller: a new file took its place
                text = file.read()
                self._offsets[path] = file.tell()
            self._stream.write(text.decode(errors="replace"))
        self._stream.flush()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
