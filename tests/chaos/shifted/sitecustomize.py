"""Imported first by a process that has this folder on its path: its clock runs off by as many
seconds as the file of the variable holds, a double that another process changes at any moment."""

import mmap
import os
import struct
import time
from pathlib import Path

FILE = "CHAOS_CLOCK_FILE"


def _shift() -> None:
    with Path(os.environ[FILE]).open("rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    true_time = time.time

    def shifted_time() -> float:
        return true_time() + struct.unpack("d", shared[:8])[0]

    time.time = shifted_time


if os.environ.get(FILE):
    _shift()
