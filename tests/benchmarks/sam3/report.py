"""What was measured: tables on stdout while it runs, one in markdown at the end, all as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from tests.benchmarks.sam3.device import Ceilings
from tests.benchmarks.sam3.floors import Works
from tests.benchmarks.sam3.rounds import Timing
from tests.benchmarks.table import line


class Row(Struct, frozen=True):
    """One way of doing one thing; `timing` is per `unit`.

    `ratios` says how many times longer each straightforward way took in the same rounds.
    """

    part: str
    way: str
    count: int
    unit: str
    timing: Timing
    floor: float | None = None
    ratios: Mapping[str, float] = {}


class MemoryRow(Struct, frozen=True):
    """Bytes: `rest` before the call, all models of the run included; `most` during it."""

    case: str
    way: str
    rest: int
    most: int


class ColdRow(Struct, frozen=True):
    """Seconds from the start of a process to each stage, in order."""

    way: str
    stages: Mapping[str, float]


class Report(Struct):
    """Everything that a run found."""

    size: str
    date: str
    machine: dict[str, str]
    ceilings: Ceilings | None = None
    work: dict[str, Works] = field(default_factory=dict[str, Works])
    equality: dict[str, float] = field(default_factory=dict[str, float])
    rows: list[Row] = field(default_factory=list[Row])
    memory: list[MemoryRow] = field(default_factory=list[MemoryRow])
    cold: list[ColdRow] = field(default_factory=list[ColdRow])
    skipped: list[str] = field(default_factory=list[str])

    def add(self, row: Row, baselines: Sequence[str]) -> None:
        """Keep a row and print it; `baselines` are the columns of its ratios."""
        self.rows.append(row)
        ratios = [_ratio(row.ratios.get(name)) for name in baselines]
        line(row.way, str(row.count), milliseconds(row.timing), *_floor_cells(row), *ratios)

    def skip(self, what: str) -> None:
        self.skipped.append(what)
        print(f"left out: {what}", flush=True)

    def timing(self, part: str, way: str, count: int = 1) -> Timing | None:
        """What was measured of a way before."""
        wanted = (part, way, count)
        found = (row.timing for row in self.rows if (row.part, row.way, row.count) == wanted)
        return next(found, None)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))


def milliseconds(timing: Timing) -> str:
    """`≈` marks what was computed from shorter runs."""
    value = timing.seconds * 1000
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{'≈' if timing.estimated else ''}{value:.{digits}f}"


def markdown(report: Report) -> str:
    """One table, ready for RESULTS.md; the straightforward ways are columns of it."""
    baselines = list(dict.fromkeys(name for row in report.rows for name in row.ratios))
    columns = ["", "at", "way", "ms", "× floor", *baselines]
    machine = "; ".join(f"{name} {value}" for name, value in report.machine.items())
    lines = [
        f"## {report.date}, SAM3 at {report.size} size, random weights",
        "",
        f"{machine}.",
        "",
        _ceilings_line(report),
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *(_line(report, row, baselines) for row in report.rows if row.ratios),
        *(_memory_line(row) for row in report.memory),
        *(_cold_line(row) for row in report.cold),
        "",
        *_notes(report),
    ]
    return "\n".join(lines)


def _line(report: Report, row: Row, baselines: Sequence[str]) -> str:
    """A straightforward way's cell: how many times longer, and its milliseconds."""
    cells = [f"{row.part}, per {row.unit}", str(row.count), row.way, milliseconds(row.timing)]
    cells.append(_floor_cells(row)[1])
    for name in baselines:
        ratio, base = row.ratios.get(name), report.timing(row.part, name, row.count)
        cells.append(f"{ratio:.2f} × ({milliseconds(base)})" if ratio and base else "")
    return f"| {' | '.join(cells)} |"


def _memory_line(row: MemoryRow) -> str:
    above = (row.most - row.rest) / 2**20
    return f"| memory above the weights | {row.case} | {row.way} | {above:.0f} MiB |"


def _cold_line(row: ColdRow) -> str:
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in row.stages.items())
    return f"| cold start | | {row.way} | {stages} |"


def _notes(report: Report) -> list[str]:
    worst: dict[str, float] = {}
    for name, error in report.equality.items():
        way = name.rsplit(" ", 1)[0]
        worst[way] = max(error, worst.get(way, 0.0))
    figures = ", ".join(f"{way} {error:.1e}" for way, error in worst.items())
    notes = [f"Largest relative error of any output against the stock model in fp32: {figures}."]
    if report.skipped:
        notes.append(f"Left out: {'; '.join(report.skipped)}.")
    return notes


def _ceilings_line(report: Report) -> str:
    if report.ceilings is None:
        return ""
    rates = ", ".join(f"{k} {v / 1e12:.3g} TFLOP/s" for k, v in report.ceilings.flops.items())
    return f"Measured ceilings: {rates}, copy {report.ceilings.bandwidth / 1e9:.3g} GB/s."


def _floor_cells(row: Row) -> list[str]:
    if row.floor is None:
        return ["", ""]
    return [f"{row.floor * 1000:.2f}", f"{row.timing.seconds / row.floor:.2f}"]


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
