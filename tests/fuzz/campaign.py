"""Runs workers over all cases of a format, and survives what the decoder might not."""

import os
import selectors
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from gpu_handler.imaging.limits import MAX_PIXELS, memory_bound
from tests.fuzz.cases import Cases
from tests.fuzz.worker import Begun, Done, Report

HANG_SECONDS = 10.0
ROOT = Path(__file__).parents[2]
WORKER = (sys.executable, "-m", "tests.fuzz.worker")

_decode = msgspec.json.Decoder(Report).decode


class Finding(msgspec.Struct, frozen=True):
    """A file that the decoder should not have answered so."""

    case: str
    what: str
    file: str


class Tally(msgspec.Struct):
    """What became of the files of one kind."""

    outcomes: Counter[str] = msgspec.field(default_factory=Counter[str])
    slowest: float = 0.0
    peak: int = 0


class Campaign:
    """`tallies` by kind and `findings` grow while `run` goes on.

    `worker` is a command that is given its five arguments; it may be silent for `patience` seconds.
    """

    def __init__(
        self,
        cases: Cases,
        keep: Path,
        worker: Sequence[str] = WORKER,
        patience: float = HANG_SECONDS,
    ) -> None:
        self.cases, self.keep, self.worker, self.patience = cases, keep, worker, patience
        self.tallies: dict[str, Tally] = {}
        self.findings: list[Finding] = []

    def run(self) -> None:
        start: int | None = 0
        while start is not None:
            start = self._one_worker(start)

    def _one_worker(self, start: int) -> int | None:
        """The case after the one that the worker died of, or None if all is done."""
        c = self.cases
        command = [*self.worker, c.format]
        command += map(str, (c.seed, c.count, int(c.extreme), start))
        begun: Begun | None = None
        with tempfile.TemporaryFile() as told:
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, cwd=ROOT)
            assert worker.stdout is not None
            lines, hung = _Reader(worker.stdout), False
            while not hung and (line := lines.next(self.patience if begun else 120.0)) != b"":
                if line is None:
                    hung = True
                    worker.kill()
                else:
                    begun = self._note(_decode(line), begun)
            status = worker.wait()
            worker.stdout.close()
            if status == 0:
                return None
            told.seek(0)
            text = told.read().decode(errors="replace")
        if begun is None:
            raise RuntimeError(f"the worker fails by itself: {text[-2000:]}")
        self._died(begun, "hangs" if hung else f"ends the process ({status}): {text[-300:]}")
        return begun.index + 1

    def _note(self, report: Report, begun: Begun | None) -> Begun | None:
        if isinstance(report, Begun):
            return report
        assert begun is not None
        tally = self.tallies.setdefault(begun.kind, Tally())
        tally.outcomes[report.outcome] += 1
        tally.slowest = max(tally.slowest, report.seconds)
        tally.peak = max(tally.peak, report.grown)
        if wrong := self._wrong(report):
            self._found(begun, wrong)
        return None

    def _wrong(self, done: Done) -> str:
        if done.outcome.startswith("escaped"):
            return done.outcome
        if done.seconds > HANG_SECONDS:
            return f"takes {done.seconds:.1f} s"
        bound = memory_bound(done.pixels or MAX_PIXELS)
        return f"takes {done.grown >> 20} MiB of {bound >> 20}" if done.grown > bound else ""

    def _died(self, begun: Begun, how: str) -> None:
        self.tallies.setdefault(begun.kind, Tally()).outcomes[how.split(":")[0]] += 1
        self._found(begun, how)

    def _found(self, begun: Begun, what: str) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        name = f"{self.cases.format}-{self.cases.seed}-{begun.index}.bin"
        (self.keep / name).write_bytes(self.cases.at(begun.index).data)
        case = f"{self.cases.format} {begun.kind} {begun.name}"
        self.findings.append(Finding(case, what, str(self.keep / name)))


class _Reader:
    """Lines of a pipe, with a limit on the silence between them."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self._buffer = pipe, b""
        self._ready = selectors.DefaultSelector()
        self._ready.register(pipe, selectors.EVENT_READ)

    def next(self, seconds: float) -> bytes | None:
        """A line, b"" at the end, None after `seconds` of silence."""
        while b"\n" not in self._buffer:
            if not self._ready.select(seconds):
                return None
            more = os.read(self._pipe.fileno(), 65536)
            if not more:
                self._ready.close()
                return b""
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line
