"""What operators see: this process's counters, and figures of the database that all share."""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from datetime import UTC, datetime
from typing import Generic, TypeVar

from msgspec import Struct
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edge_api.services.counters import Counters
from edge_api.settings import Secret
from edge_api.storage.database import Database
from edge_api.storage.statistics import History, Work, count_drifting, read_history, read_work

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that a scrape waits for the database; after that it takes what is known."""

_SHARED = "from the database, the same in every process."


class Ages(Struct, frozen=True):
    """Seconds for which figures are not read again, however often they are scraped.

    One that took long to read is kept `rest` times as long: large tables are read more rarely.
    """

    work: float = 5.0
    history: float = 60.0
    drift: float = 300.0
    rest: float = 20.0


class Access(Struct, frozen=True):
    """Who may scrape: whoever has the token, or anyone where there is none and it is `public`."""

    token: Secret | None = None
    public: bool = False

    @property
    def closed(self) -> bool:
        return self.token is None and not self.public

    def admits(self, authorization: str) -> bool:
        """Whether that header's value is good enough."""
        if self.token is None:
            return self.public
        scheme, _, sent = authorization.strip().partition(" ")
        known = self.token.reveal().encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), known)


class Cached(Generic[T]):
    """One figure of the database. `value` is None where it could not be read."""

    def __init__(
        self, name: str, read: Callable[[], Awaitable[T]], age: float, rest: float
    ) -> None:
        self.name = name
        self.value: T | None = None
        self.read_at: float | None = None
        self._read = read
        self._age = age
        self._rest = rest
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Have it read again where it is old. However many ask, it is read once."""
        if self._task is None and time.monotonic() >= self._due:
            self._task = asyncio.create_task(self._renew())
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _renew(self) -> None:
        began = time.monotonic()
        try:
            self.value = await self._read()
            self.read_at = time.time()
        except Exception:
            self.value = None
            logger.exception("figures could not be read", extra={"figures": self.name})
        finally:
            took = time.monotonic() - began
            self._due = time.monotonic() + max(self._age, took * self._rest)
            self._task = None


class Metrics:
    """Everything that `/metrics` shows."""

    def __init__(
        self,
        database: Database,
        endpoint_id: str,
        counters: Counters,
        access: Access,
        ages: Ages | None = None,
    ) -> None:
        self.access = access
        ages = ages or Ages()
        self._database = database
        self._endpoint = endpoint_id
        self._counters = counters
        self._work = Cached("work", self._read_work, ages.work, ages.rest)
        self._history = Cached(
            "history", lambda: database.read(read_history), ages.history, ages.rest
        )
        self._drift = Cached("drift", lambda: database.read(count_drifting), ages.drift, ages.rest)
        self._all = (self._work, self._history, self._drift)
        counters.registry.register(Figures(self._work, self._history, self._drift))

    async def expose(self) -> bytes:
        """In Prometheus' text format, version 0.0.4."""
        await asyncio.gather(*(cached.refresh() for cached in self._all))
        return generate_latest(self._counters.registry)

    async def close(self) -> None:
        """Before the database is closed: nothing reads from it any more."""
        await asyncio.gather(*(cached.stop() for cached in self._all))

    async def _read_work(self) -> Work:
        day = datetime.now(UTC).date().isoformat()
        return await self._database.read(read_work, self._endpoint, day)


class Figures(Collector):
    """The database's figures as gauges. What could not be read is absent, not 0."""

    def __init__(self, work: Cached[Work], history: Cached[History], drift: Cached[int]) -> None:
        self._work = work
        self._history = history
        self._drift = drift

    def collect(self) -> Generator[Metric]:
        yield from _freshness(self._work, self._history, self._drift)
        work, history, drift = self._work.value, self._history.value, self._drift.value
        yield _by("jobs", "Jobs", "status", _both(work, history, "jobs"))
        yield _by("dispatches", "Attempts", "state", _both(work, history, "dispatches"))
        yield _by("items", "Photos", "status", _items(work, history))
        if work is not None:
            yield from _of_work(work, time.time())
        if history is not None:
            about = "Sums of the ledger's rows, signed: together what all balances hold"
            yield _by("ledger_credits", about, "kind", history.credits)
        if drift is not None:
            yield _one("ledger_drifting_users", "Users whose balance is not their sum", drift)


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


def _freshness(*parts: Cached[Work] | Cached[History] | Cached[int]) -> Generator[Metric]:
    readable = {part.name: int(part.value is not None) for part in parts}
    yield _by("figures_readable", "1 where the last read succeeded", "figures", readable)
    now = time.time()
    ages = {part.name: now - part.read_at for part in parts if part.read_at is not None}
    yield _by("figures_age_seconds", "Time since they were read", "figures", ages)


def _by(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"palette_{name}", f"{about}; {_SHARED}", labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _one(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"palette_{name}", f"{about}; {_SHARED}", value=value)
