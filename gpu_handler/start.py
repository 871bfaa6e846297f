"""A worker's start: where its seconds go, from the process to the first job that it could take."""

import gc
import logging
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gpu_handler.pipeline.stopwatch import Stopwatch

log = logging.getLogger(__name__)

_STAT = Path("/proc/self/stat")
_STARTED = 19  # field 22 of proc(5), counted from the third, which follows the program's name


class Start:
    """Times the stages until `ready`, which logs them; `python` is what lay before this object:
    the interpreter, and the imports of our own code."""

    def __init__(self) -> None:
        before = process_age()
        self._began = time.monotonic() - before
        self._clock = Stopwatch()
        self._clock.add("python", before)

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time a stage. What it leaves behind stays: no later collection looks through it."""
        with self._clock.stage(name):
            yield
        gc.freeze()

    def ready(self) -> None:
        """One line: the stages in the order they began, then all of it, in seconds."""
        stages = self._clock.timings() | {"total": round(time.monotonic() - self._began, 3)}
        told = ", ".join(f"{name} {s:.2f}" for name, s in stages.items() if name != "total")
        log.info("ready in %.2f s: %s", stages["total"], told, extra={"start": stages})


def process_age() -> float:
    """Seconds since the kernel started this process; where it does not say, the CPU time so far."""
    try:
        fields = _STAT.read_text("utf-8", "replace").rpartition(")")[2].split()
        ticks = int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks, 0.0)
    except (OSError, AttributeError, ValueError, IndexError):
        return time.process_time()


@contextmanager
def nothing_collected() -> Generator[None]:
    """No garbage collection inside: imports make 400 000 objects that all stay, and looking
    through them again and again takes a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
