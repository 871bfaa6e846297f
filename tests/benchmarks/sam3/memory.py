"""Peak memory of each part, above what rests: the weights of every model of the run."""

from collections.abc import Callable, Iterator
from functools import partial

from tests.benchmarks.sam3.ours import repeated
from tests.benchmarks.sam3.parts import PAIRS_PER_PHOTO
from tests.benchmarks.sam3.report import MemoryRow
from tests.benchmarks.sam3.rounds import Budget
from tests.benchmarks.sam3.setting import Setting
from tests.benchmarks.table import heading, line


def measure_memory(setting: Setting, budget: Budget) -> None:
    """One call of each; none begins after the time is over."""
    heading("SAM3 peak memory, MiB", "at rest", "most", "above")
    for case, way, call in _cases(setting):
        if not budget.left:
            setting.report.skip(f"memory from {case}, {way} on: out of time")
            return
        peak = setting.device.peak(call)
        setting.report.memory.append(MemoryRow(case, way, peak.rest, peak.most))
        figures = (peak.rest, peak.most, peak.most - peak.rest)
        line(f"{case}, {way}", *(f"{value / 2**20:.0f}" for value in figures))


def _cases(setting: Setting) -> Iterator[tuple[str, str, Callable[[], object]]]:
    plan = setting.plan
    batches = sorted({plan.batches[0], plan.batches[-1]})
    counts = sorted({plan.pairs[0], plan.pairs[-1]})
    for name, way in setting.ways.items():
        if name.startswith("graphs"):  # a replay allocates nothing: all it needs is there for good
            continue
        dtype = way.detector.dtype
        for batch in batches:
            photos = setting.photos(batch)
            yield f"vision, batch {batch}", name, partial(way.encode, photos)
        seen = way.encode(setting.photos(1))
        for count in counts:
            photos = max(1, count // PAIRS_PER_PHOTO)
            call = partial(way.decode, repeated(seen, photos), *setting.pairs(photos, count, dtype))
            yield f"decode, {count} pairs", name, call
        pairs = setting.pairs(1, plan.concepts[-1], dtype)
        call = partial(way.photo, setting.pictures[0], pairs)
        yield f"photo, {plan.concepts[-1]} concepts", name, call
    for name, stock in setting.stocks.items():
        yield "vision, batch 1", name, partial(stock.vision, stock.pixels())
        yield "decode, 1 pair", name, partial(stock.pair, 0)
        yield "photo, 1 concept", name, partial(stock.photo, 1)
