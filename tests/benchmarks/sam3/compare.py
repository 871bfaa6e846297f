"""One table: our ways at growing counts, beside the straightforward ways in the same rounds."""

from collections.abc import Callable, Mapping, Sequence

from tests.benchmarks.sam3.report import Row
from tests.benchmarks.sam3.rounds import Budget, Timing, interleaved
from tests.benchmarks.sam3.setting import Setting
from tests.benchmarks.table import heading

Calls = Mapping[str, Callable[[], object]]


class Comparison:
    """Rows of one part. A count whose calls would not fit into what is left is left out."""

    def __init__(self, setting: Setting, part: str, unit: str, budget: Budget, rows: int) -> None:
        """`rows`: how many counts will be asked for; each may take its share of the time."""
        self._setting, self._part, self._unit = setting, part, unit
        self._budget, self._rows = budget, rows
        self._pace: dict[str, float] = {}
        self._baselines: tuple[str, ...] = ()

    def title(self, count: str, baselines: Sequence[str]) -> None:
        """The columns: how many times longer each of the `baselines` takes comes last."""
        self._baselines = tuple(baselines)
        heading(
            f"SAM3 {self._part}, ms per {self._unit}, and how many times longer others take",
            *(count, "ms", "floor ms", "× floor", *baselines),
        )

    def measure(
        self,
        count: int,
        ours: Calls,
        stocks: Calls,
        floors: Mapping[str, float],
        *,
        units: int = 1,
        known: Mapping[str, Timing] | None = None,
    ) -> None:
        """Time all calls; a call of ours answers `units` units, a stock one one.

        `floors` are seconds per unit; `known` are further straightforward ways, not measured here.
        """
        calls = {**ours, **stocks}
        work = {name: floors[name] * (units if name in ours else 1) for name in calls}
        if self._expected(work) > self._budget.left:
            self._setting.report.skip(f"{self._part} at {count}: out of time")
            return
        limit = self._budget.left / max(1, self._rows)
        self._rows -= 1
        taken = interleaved(self._setting.device, calls, self._setting.plan.rounds, limit)
        self._pace |= {name: taken[name].seconds / work[name] for name in calls}
        others = {name: taken[name] for name in stocks} | dict(known or {})
        baselines = {name: others[name] for name in self._baselines if name in others}
        timings = {name: taken[name].times(1 / units) for name in ours}
        for name, timing in (baselines | timings).items():
            self._add(name, count, timing, floors.get(name), {} if name in baselines else baselines)

    def _expected(self, work: Mapping[str, float]) -> float:
        """Seconds for each call once, at the pace of the row before; `work` is their floors."""
        return sum(self._pace.get(name, 0.0) * floor for name, floor in work.items())

    def _add(
        self,
        way: str,
        count: int,
        timing: Timing,
        floor: float | None,
        baselines: Mapping[str, Timing],
    ) -> None:
        ratios = {name: base.seconds / timing.seconds for name, base in baselines.items()}
        row = Row(self._part, way, count, self._unit, timing, floor, ratios)
        self._setting.report.add(row, self._baselines)
