"""Runs the background steps for as long as the service lives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


async def repeat(
    name: str, step: Callable[[], Awaitable[bool]], interval: float, wake: asyncio.Event
) -> None:
    """Call `step` every `interval` seconds, at once when woken, again while it says there is more.

    A step that raises is logged and tried again: one bad row must not stop the loop.
    """
    while True:
        wake.clear()
        try:
            if await step():
                continue
        except Exception:
            logger.exception("%s failed", name)
        try:
            async with asyncio.timeout(interval):
                await wake.wait()
        except TimeoutError:
            continue
