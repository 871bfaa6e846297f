"""What a campaign found: a table for people, one Markdown row for the documentation."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, structs

from shared.objects import ObjectStore
from tests.chaos.leaks import leaks
from tests.chaos.plan import Plan
from tests.chaos.postman import Postman
from tests.chaos.stand import Stand
from tests.chaos.storm import Storm
from tests.chaos.verdict import SHOWN, Check, Rows, judge_objects, judge_results, judge_rows
from tests.chaos.weather import Weather
from tests.chaos.witness import Witness

WASTE = 1.3
HEADINGS = (
    "database, API processes",
    "jobs × items, seed",
    "kills (api / store / runpod / worker)",
    "lost / doubled / stuck / drift",
    "callbacks, each item",
    "dispatches, again",
    "settled in, s",
    "total, s",
)


class Timing(Struct, frozen=True):
    """Seconds: until the last fault, from then to the end of the last job, in all."""

    storm: float
    settled: float
    total: float


class Report:
    """`judge` fills `checks`; the campaign failed where one of them lists a violation."""

    def __init__(
        self,
        plan: Plan,
        rows: Rows,
        witness: Witness,
        postman: Postman,
        storm: Storm,
        timing: Timing,
    ) -> None:
        self.checks: list[Check] = []
        self._plan, self._rows, self._timing = plan, rows, timing
        self._witness, self._postman, self._storm = witness, postman, storm

    @property
    def held(self) -> bool:
        return not any(check.violations for check in self.checks)

    @property
    def kills(self) -> int:
        return sum(self._storm.kills.values())

    @property
    def each(self) -> float:
        """How often an item was worked on, for each item that was at all."""
        executions = self._postman.executions
        return sum(executions.values()) / max(1, len(executions))

    def judge(self, stand: Stand, store: ObjectStore, weather: Weather) -> None:
        site = stand.stack.site
        kept = structs.asdict(site.secrets)
        secrets = [
            kept[name] for name in kept if name.endswith(("_secret", "_secret_key", "_api_key"))
        ]
        lines, leaked = leaks(site.log_dir, [*secrets, kept["runpod_worker_key"]])
        sudden = [call for moment, call in self._witness.errors if not weather.explains(moment)]
        self.checks = [
            *judge_rows(self._rows, self._witness),
            judge_objects(self._rows, store),
            judge_results(self._rows, self._witness, store),
            Check("no forgery believed", self._postman.believed, self._forged()),
            Check("callbacks for each item", self._waste(), f"{self.each:.2f}"),
            Check("no 5xx without a cause", _counted(sudden), str(len(self._witness.errors))),
            Check("no secret in a log line", leaked, str(lines)),
        ]

    def _forged(self) -> str:
        return str(sum(self._postman.forged.values()))

    def _waste(self) -> list[str]:
        executions = self._postman.executions
        plan, storm = self._plan, self._storm
        injected = plan.items * storm.tricks["duplicates"]
        forgiven = plan.allowance * self.kills
        allowed = WASTE * len(executions) + injected + forgiven
        total = sum(executions.values())
        return [f"{total} for {len(executions)} items"] if total > allowed else []

    def text(self) -> str:
        return "\n".join([*self._table(), "", *self._story(), "", *self.markdown()])

    def _table(self) -> Iterable[str]:
        for check in self.checks:
            verdict = "VIOLATED" if check.violations else "holds"
            yield f"{verdict:9} {check.name:44} {check.figure}"
            yield from (f"          {line[:300]}" for line in check.violations[:SHOWN])
            if len(check.violations) > SHOWN:
                yield f"          and {len(check.violations) - SHOWN} more"

    def _story(self) -> Iterable[str]:
        states = Counter(row["status"] for row in self._rows.jobs.values())
        items = Counter(self._rows.items.values())
        yield f"jobs       {_list(states)}"
        yield f"items      {_list(items)}"
        yield f"failed by  {_list(self._rows.errors)}"
        yield f"kills      {_list(self._storm.kills)}"
        yield f"tricks     {_list(self._storm.tricks)}"
        yield f"callbacks  {self._postman.posts} posts; {_list(self._postman.faults)}"
        yield f"forgeries  {_list(self._postman.forged)}"
        yield f"5xx seen   {_list(Counter(call for _, call in self._witness.errors))}"

    def markdown(self) -> list[str]:
        """The headings and the row."""
        plan, rows, timing = self._plan, self._rows, self._timing
        cells = (
            f"{plan.database}, {plan.processes}",
            f"{len(rows.jobs):,} × {plan.items}, {plan.seed}",
            self._kills(),
            self._losses(),
            f"{self.each:.2f}",
            f"{rows.dispatches:,}, {rows.attempts:,}",
            f"{timing.settled:.0f}",
            f"{timing.total:.0f}",
        )
        rule = ["---"] * len(HEADINGS)
        return [f"| {' | '.join(line)} |" for line in (HEADINGS, rule, cells)]

    def _kills(self) -> str:
        kinds = Counter[str]()
        for name, count in self._storm.kills.items():
            kinds[name.partition("-")[0]] += count
        each = " / ".join(str(kinds[kind]) for kind in ("api", "store", "runpod", "worker"))
        return f"{sum(kinds.values())} ({each})"

    def _losses(self) -> str:
        names = (
            "acknowledged jobs exist",
            "one job for each key",
            "no job stuck",
            "ledger, balance, counters and items agree",
        )
        found = {check.name: len(check.violations) for check in self.checks}
        return " / ".join(str(found[name]) for name in names)


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count) or "none"


def _counted(calls: Iterable[str]) -> list[str]:
    return [f"{count} × {call}" for call, count in Counter(calls).most_common()]
