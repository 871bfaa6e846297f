"""A worker's cold start by its stages, and what would make it shorter.

Every process is the real handler with the SDK's worker, against the emulated Runpod, with a SAM3
checkpoint of random weights that `prepare` wrote. Ways take turns, so that whatever else the
machine does meets them all; wall time is given as the median. Options: `--rounds 3`,
`--parts stages,cold,savings,compile,imports`, `--size tiny` or `full`.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.local.runpod.serving import RunningRunpod, serve_runpod
from infra.local.runpod.settings import RunpodSettings
from tests.benchmarks.cold_start.checkpoint import prepared
from tests.benchmarks.cold_start.imports import ALONE, alone, attributed
from tests.benchmarks.cold_start.pages import forget
from tests.benchmarks.cold_start.ways import AS_IT_IS, NO_READ_AHEAD, compilations, savings
from tests.benchmarks.cold_start.worker import ROOT, Begun, Way, begin
from tests.benchmarks.table import heading, line, row


class Bench:
    """What all parts share: the emulator, the weights, the folder and the number of rounds."""

    def __init__(self, runpod: RunningRunpod, weights: Path, folder: Path, rounds: int) -> None:
        self.folder, self.weights, self.rounds = folder, weights, rounds
        self._runpod = runpod
        self._settings = {
            "SEGMENTER": "sam3",
            "SAM3_MODEL": str(weights),
            "SAM3_DEVICE": "cpu",
            "SAM3_DTYPE": "bfloat16",
            "NUMBA_CACHE_DIR": str(folder / "numba"),
        }

    def begin(self, way: Way = AS_IT_IS, *, photos: bool = False) -> Begun:
        return begin(way, self._runpod, self._settings, photos=photos)


def run(options: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks cold_start")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--size", choices=("tiny", "full"), default="tiny")
    asked = parser.parse_args(list(options))
    keys = RunpodSettings(api_key="api-key", worker_key="worker-key")
    with tempfile.TemporaryDirectory(prefix="cold-start-") as made, serve_runpod(keys) as runpod:
        bench = Bench(runpod, prepared(Path(made), asked.size), Path(made), asked.rounds)
        bench.begin()  # what is compiled once, and files that nobody has read yet
        for name in asked.parts.split(","):
            load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
            print(f"\nload of {os.cpu_count()} cores: {load}")
            PARTS[name](bench)


def _stages(bench: Bench) -> None:
    told = [bench.begin(photos=True) for _ in range(bench.rounds)]
    heading(f"Stages, s, {bench.rounds} starts", "median", "least")
    for name in told[0].stages:
        values = [one.stages[name] for one in told]
        row(name, statistics.median(values), min(values))
    after = {
        "CPU until then": [one.cpu for one in told],
        "ready to first job begun": [one.taken for one in told],
        "first photo": [one.first for one in told],
        "second photo": [one.second for one in told],
    }
    for name, values in after.items():
        row(name, statistics.median(values), min(values))


def _cold(bench: Bench) -> None:
    """The page cache emptied of what a worker reads, and of the weights alone."""
    libraries = [Path(os.path.realpath(path)) for path in _packages()]
    code = [ROOT / "gpu_handler", ROOT / "shared"]
    parts = {
        "all in memory": [],
        "weights on disk": [bench.weights],
        "weights on disk, not read ahead": [bench.weights],
        "code and libraries on disk": [*libraries, *code],
        "all on disk": [bench.weights, *libraries, *code],
    }
    starts: dict[str, list[Begun]] = {name: [] for name in parts}
    for _ in range(bench.rounds):
        for name, paths in parts.items():
            forget(paths)
            way = Way(name, NO_READ_AHEAD if "not read" in name else "")
            starts[name].append(bench.begin(way))
    stages = ("python", "adapter", "libraries", "weights", "check", "total")
    heading("What is in the page cache: stages, median s", *stages)
    for name, told in starts.items():
        row(name, *(statistics.median(one.stages[stage] for one in told) for stage in stages))


def _packages() -> list[str]:
    import cv2

    return [str(Path(cv2.__file__).parents[1])]


def _savings(bench: Bench) -> None:
    _compare("Savings", bench, savings())


def _compare(title: str, bench: Bench, ways: Sequence[Way]) -> None:
    """Ratios are of the same round, so that a machine's bad minute counts for both."""
    starts: dict[str, list[Begun]] = {way.name: [] for way in ways}
    for _ in range(bench.rounds):
        for way in ways:
            starts[way.name].append(bench.begin(way))
    base, median = starts[ways[0].name], statistics.median
    heading(title, "ready s", "least", "CPU s", "least", "wall : as is", "CPU : as is")
    for name, told in starts.items():
        wall, cpu = [one.stages["total"] for one in told], [one.cpu for one in told]
        pairs = list(zip(told, base, strict=True))
        longer = median(one.stages["total"] / other.stages["total"] for one, other in pairs)
        work = median(one.cpu / other.cpu for one, other in pairs)
        row(name, median(wall), min(wall), median(cpu), min(cpu), longer, work)


def _compile(bench: Bench) -> None:
    """Layers compiled in the background: what that does to readiness and to the photos then."""
    heading("Compilation, s", "ready", "CPU", "first photo", "second photo", "compiled after")
    for way in compilations(bench.folder):
        one = bench.begin(way, photos=True)
        values = [one.stages["total"], one.cpu, one.first, one.second]
        row(way.name, *values, *([] if one.compiled is None else [one.compiled]))


def _imports(bench: Bench) -> None:
    heading("Imports, each in a process of its own, s", "median", "least")
    for what in ALONE:
        seconds = [alone(what) for _ in range(bench.rounds)]
        row(what.split(", ")[-1], statistics.median(seconds), min(seconds))
    heading("Own code of each package in one worker, -X importtime, s", "s")
    for name, seconds in list(attributed().items())[:14]:
        line(name, f"{seconds:.2f}")


PARTS: dict[str, Callable[[Bench], None]] = {
    "stages": _stages,
    "cold": _cold,
    "savings": _savings,
    "compile": _compile,
    "imports": _imports,
}
