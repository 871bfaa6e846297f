"""What operators see: this process's counters, and figures of the database that all share."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct
from prometheus_client import generate_latest

from edge_api.clients.runpod import Workers
from edge_api.services.cached import Ages, Cached
from edge_api.services.counters import Counters
from edge_api.services.figures import Figures, Sources
from edge_api.settings import Secret
from edge_api.storage.database import Database
from edge_api.storage.jobs import Purge
from edge_api.storage.statistics import Work, count_drifting, read_history, read_work
from edge_api.storage.sweeps import Pending, read_sweeps

AskWorkers = Callable[[], Awaitable[Workers]]
"""Asks for the workers of the endpoint. Raises RunpodError."""


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


class Promises(Struct, frozen=True):
    """What the settings say that figures are held against.

    `free_credits` of a day for all new accounts together, and for how many seconds objects of a
    job that ended are `kept`; what is not in it is kept for ever.
    """

    free_credits: int = 0
    kept: Mapping[Purge, float] = {}


class Metrics:
    """Everything that `/metrics` shows."""

    def __init__(
        self,
        database: Database,
        endpoint_id: str,
        counters: Counters,
        access: Access,
        ages: Ages | None = None,
        *,
        promises: Promises = Promises(),  # noqa: B008 - a value that nobody can change
        workers: AskWorkers | None = None,
    ) -> None:
        self.access = access
        self._database = database
        self._endpoint = endpoint_id
        self._promises = promises
        self._registry = counters.registry
        self._sources = self._open(ages or Ages(), workers)
        self._registry.register(Figures(self._sources, promises.free_credits))

    async def expose(self) -> bytes:
        """In Prometheus' text format, version 0.0.4."""
        await asyncio.gather(*(cached.refresh() for cached in self._sources.all))
        return generate_latest(self._registry)

    async def close(self) -> None:
        """Before the database is closed: nothing reads from it any more."""
        await asyncio.gather(*(cached.stop() for cached in self._sources.all))

    def _open(self, ages: Ages, workers: AskWorkers | None) -> Sources:
        read, rest = self._database.read, ages.rest
        return Sources(
            Cached("work", self._read_work, ages.work, rest),
            Cached("history", lambda: read(read_history), ages.history, rest),
            Cached("drift", lambda: read(count_drifting), ages.drift, rest),
            Cached("sweeps", self._read_sweeps, ages.sweeps, rest),
            # Not longer where Runpod is slow to answer: that is no table which grew.
            None if workers is None else Cached("workers", workers, ages.workers, 0.0),
        )

    async def _read_work(self) -> Work:
        day = datetime.now(UTC).date().isoformat()
        return await self._database.read(read_work, self._endpoint, day)

    async def _read_sweeps(self) -> dict[str, Pending]:
        return await self._database.read(read_sweeps, self._promises.kept, time.time())
