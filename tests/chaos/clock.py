"""A process's clock that can be set wrong from outside while it runs."""

import struct
from pathlib import Path

FOLDER = Path(__file__).with_name("shifted")


class Clock:
    """The wall clock of every process that was given `env`; the true one at first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(struct.pack("d", 0.0))
        self.env = {"CHAOS_CLOCK_FILE": str(path), "PYTHONPATH": str(FOLDER)}

    def set(self, seconds: float) -> None:
        """How far ahead it runs. Written in place: the processes have the file mapped."""
        with self._path.open("r+b") as file:
            file.write(struct.pack("d", seconds))
