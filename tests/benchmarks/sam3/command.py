"""`python -m tests.benchmarks sam3`: every part, within a time, and a table at the end."""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import torch

from tests.benchmarks.sam3.cold import measure_cold_start
from tests.benchmarks.sam3.device import Device, dtype_name
from tests.benchmarks.sam3.equality import check_equality
from tests.benchmarks.sam3.memory import measure_memory
from tests.benchmarks.sam3.parts import measure_decode, measure_photos, measure_vision
from tests.benchmarks.sam3.report import Report, markdown
from tests.benchmarks.sam3.rounds import Budget
from tests.benchmarks.sam3.setting import Setting, build_setting, default_size, plan_for
from tests.benchmarks.sam3.sizes import Size
from tests.benchmarks.table import heading, line

CACHE = "TORCHINDUCTOR_CACHE_DIR"

Part = Callable[[Setting, Budget], None]

PARTS: dict[str, tuple[Part, float]] = {
    "vision": (measure_vision, 0.35),
    "decode": (measure_decode, 0.35),
    "photo": (measure_photos, 0.5),
    "memory": (measure_memory, 0.5),
    "cold": (measure_cold_start, 1.0),
}
"""Each part, and the share that it may take of the time that those before it have left."""


def main(arguments: Sequence[str]) -> Report:
    """Measure and print. Raises SystemExit for arguments, AssertionError where ours is wrong."""
    options = _parse(arguments)
    budget = Budget(options.budget)
    device = Device(_kind(options.device), options.threads)
    with _nothing_compiled():
        report = _measure(options, device, budget)
    print(f"\n{markdown(report)}")
    if options.json:
        report.write(options.json)
    return report


def _measure(options: "_Options", device: Device, budget: Budget) -> Report:
    size = Size(options.size) if options.size else default_size(device)
    plan = plan_for(size, device, quick=options.quick)
    with torch.no_grad():
        setting = build_setting(size, device, plan, budget, compile_on_cpu=options.compile)
    _introduce(setting)
    with torch.inference_mode():
        check_equality(setting)
        for name in options.parts:
            part, share = PARTS[name]
            part(setting, budget.share(share))
    return setting.report


@contextlib.contextmanager
def _nothing_compiled() -> Generator[None]:
    """What an earlier run compiled must not make this one's cold start look warm."""
    before = os.environ.pop(CACHE, None)
    with tempfile.TemporaryDirectory(prefix="sam3-bench-", ignore_cleanup_errors=True) as folder:
        os.environ[CACHE] = folder
        try:
            yield
        finally:
            del os.environ[CACHE]
            os.environ |= {CACHE: before} if before else {}


class _Options(argparse.Namespace):
    size: str | None
    device: str
    threads: int
    compile: bool
    quick: bool
    json: Path | None
    parts: list[str]
    budget: float


def _parse(arguments: Sequence[str]) -> _Options:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks sam3")
    parser.add_argument("--size", choices=list(Size), help="default: full on a GPU, else medium")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--threads", type=int, default=1, help="of a CPU, default 1: then CPU time is measured"
    )
    parser.add_argument("--compile", action="store_true", help="on a CPU too")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--budget", type=float, default=540, metavar="SECONDS")
    return parser.parse_args(arguments, _Options())


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"unknown part {unknown[0]}; known: {', '.join(PARTS)}")
    return [name for name in PARTS if name in names]


def _kind(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _introduce(setting: Setting) -> None:
    print(f"\nSAM3 at {setting.size} size, random weights")
    for name, value in setting.report.machine.items():
        print(f"{name:14}{value}")
    heading("Ceilings, measured just now", "TFLOP/s", "GB/s")
    for name, rate in setting.ceilings.flops.items():
        line(f"matrix product, {name}", f"{rate / 1e12:.3g}")
    line("copy, read + written", "", f"{setting.ceilings.bandwidth / 1e9:.3g}")
    heading("Work, counted", "stock vision", "ours", "stock pair", "ours")
    for dtype, works in setting.works.items():
        parts = (works.stock_vision, works.vision, works.stock_pair, works.pair)
        name = dtype_name(dtype)
        if dtype == torch.float32:
            line("GFLOP", *(f"{work.flops / 1e9:.4g}" for work in parts))
        line(f"MB, weights and arguments, {name}", *(f"{w.bytes / 1e6:.3g}" for w in parts))
