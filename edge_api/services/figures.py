"""What was read, as Prometheus' gauges. What could not be read is absent, not 0."""

import time
from collections.abc import Generator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edge_api.clients.runpod import Workers
from edge_api.services.cached import Cached
from edge_api.storage.statistics import History, Work
from edge_api.storage.sweeps import Pending

_SHARED = "from the database, the same in every process."
_ASKED = "as Runpod tells this process."


class Sources(Struct, frozen=True):
    """Where figures come from; `workers` is None where nobody can be asked for them."""

    work: Cached[Work]
    history: Cached[History]
    drift: Cached[int]
    sweeps: Cached[dict[str, Pending]]
    workers: Cached[Workers] | None = None

    @property
    def all(self) -> "list[Cached[Any]]":
        parts = (self.work, self.history, self.drift, self.sweeps, self.workers)
        return [part for part in parts if part is not None]


class Figures(Collector):
    """`free_credits` is how many new accounts may be given together in a day."""

    def __init__(self, sources: Sources, free_credits: int) -> None:
        self._sources = sources
        self._free_credits = free_credits

    def collect(self) -> Generator[Metric]:
        now = time.time()
        yield from _freshness(self._sources.all, now)
        work, history = self._sources.work.value, self._sources.history.value
        yield _by("jobs", "Jobs", "status", _both(work, history, "jobs"))
        yield _by("dispatches", "Attempts", "state", _both(work, history, "dispatches"))
        yield _by("items", "Photos", "status", _items(work, history))
        if work is not None:
            yield from _of_work(work, now)
        about = "Credits that new accounts may be given in a day"
        yield _one("free_credits_limit", about, self._free_credits, "as this process was told.")
        if history is not None:
            about = "Sums of the ledger's rows, signed: together what all balances hold"
            yield _by("ledger_credits", about, "kind", history.credits)
        if (drift := self._sources.drift.value) is not None:
            yield _one("ledger_drifting_users", "Users whose balance is not their sum", drift)
        yield from _of_sweeps(self._sources.sweeps.value or {}, now)
        if self._sources.workers is not None:
            known = self._sources.workers.value
            counts = {} if known is None else msgspec.structs.asdict(known)
            yield _by("endpoint_workers", "Workers of the endpoint", "state", counts, _ASKED)


def _both(work: Work | None, history: History | None, name: str) -> dict[str, int]:
    parts: list[dict[str, int]] = [getattr(part, name) for part in (work, history) if part]
    return {key: count for part in parts for key, count in part.items()}


def _items(work: Work | None, history: History | None) -> dict[str, int]:
    pending = {} if work is None else {"pending": work.pending}
    if history is None:
        return pending
    ended = {"done": history.done, "failed": history.failed, "canceled": history.canceled}
    return pending | ended


def _of_work(work: Work, now: float) -> Generator[Metric]:
    waited = 0.0 if work.waiting_since is None else max(0.0, now - work.waiting_since)
    yield _one("queue_age_seconds", "Age of the oldest attempt that Runpod does not have", waited)
    yield _one("dead_letters_open", "Given-up jobs that nobody has looked at", work.open_letters)
    yield _one("free_credits_today", "Credits given to new accounts today, UTC", work.free_credits)
    is_open = float(work.breaker.open_until > now)
    yield _one("breaker_open", "1 while nothing is submitted to the endpoint", is_open)
    failures = work.breaker.failures
    yield _one("breaker_failures", "Failed submits to the endpoint in a row", failures)


def _of_sweeps(sweeps: Mapping[str, Pending], now: float) -> Generator[Metric]:
    pending = {what: found.count for what, found in sweeps.items()}
    late = {
        what: 0.0 if found.due is None else max(0.0, now - found.due)
        for what, found in sweeps.items()
    }
    yield _by("sweeps_pending", "Accounts and jobs whose objects have to go", "what", pending)
    yield _by("sweeps_late_seconds", "Since when the oldest should be gone", "what", late)


def _freshness(parts: "list[Cached[Any]]", now: float) -> Generator[Metric]:
    readable = {part.name: int(part.value is not None) for part in parts}
    about = "1 where the last read succeeded"
    yield _by("figures_readable", about, "figures", readable, "in this process.")
    ages = {part.name: now - part.read_at for part in parts if part.read_at is not None}
    about = "Time since they were read"
    yield _by("figures_age_seconds", about, "figures", ages, "in this process.")


def _by(
    name: str, about: str, label: str, values: Mapping[str, float], origin: str = _SHARED
) -> Metric:
    family = GaugeMetricFamily(f"palette_{name}", f"{about}; {origin}", labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _one(name: str, about: str, value: float, origin: str = _SHARED) -> Metric:
    return GaugeMetricFamily(f"palette_{name}", f"{about}; {origin}", value=value)
