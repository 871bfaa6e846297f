"""Runs the background steps for as long as the service lives."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


def _ignore(_: str) -> None: ...


async def repeat(
    name: str,
    step: Callable[[], Awaitable[bool]],
    interval: float,
    wake: asyncio.Event,
    failed: Callable[[str], None] = _ignore,
) -> None:
    """Call `step` every `interval` seconds, at once when woken, again while it says there is more.

    A step that raises is logged and tried again: one bad row must not stop the loop. `failed` is
    told the name.
    """
    while True:
        wake.clear()
        try:
            if await step():
                continue
        except Exception:
            logger.exception("%s failed", name)
            failed(name)
        try:
            async with asyncio.timeout(interval):
                await wake.wait()
        except TimeoutError:
            continue


class Pulse:
    """How late the event loop comes to what is due."""

    def __init__(self, observe: Callable[[float], None], interval: float = 0.5) -> None:
        self._observe = observe
        self._interval = interval
        self._due: float | None = None
        self._last = 0.0

    async def beat(self) -> None:
        while True:
            self._due = time.monotonic() + self._interval
            await asyncio.sleep(self._interval)
            self._last = max(0.0, time.monotonic() - self._due)
            self._observe(self._last)

    def lag(self) -> float:
        """Seconds by which the last beat was late, or the next one is by now."""
        overdue = 0.0 if self._due is None else time.monotonic() - self._due
        return max(self._last, overdue)
