"""Figures that are read now and then, however often somebody asks for them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from edge_api.clients.runpod import RunpodError

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that a scrape waits for what it reads; after that it takes what is known."""


class Ages(Struct, frozen=True):
    """Seconds for which figures are not read again, however often they are scraped.

    One of the database that took long to read is kept `rest` times as long: large tables are read
    more rarely. `workers` is asked of Runpod.
    """

    work: float = 5.0
    history: float = 60.0
    drift: float = 300.0
    sweeps: float = 60.0
    workers: float = 15.0
    rest: float = 20.0


class Cached(Generic[T]):
    """One figure. `value` is None where it could not be read."""

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
        except RunpodError as error:  # its trouble, told every time: no traceback of ours
            self.value = None
            extra = {"figures": self.name, "reason": str(error)}
            logger.warning("figures could not be read", extra=extra)
        except Exception:
            self.value = None
            logger.exception("figures could not be read", extra={"figures": self.name})
        finally:
            took = time.monotonic() - began
            self._due = time.monotonic() + max(self._age, took * self._rest)
            self._task = None
