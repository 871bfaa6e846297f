"""Held requests: answered when there is something to say, when time is up, or never."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, TypeVar

from infra.local.runpod.access import HttpRequest

T = TypeVar("T")


class Bell:
    """Wakes everything that waits, every time it rings.

    `patience` bounds every hold, in seconds, those that have begun included.
    """

    def __init__(self) -> None:
        self.patience = math.inf
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    def hurry(self, patience: float) -> None:
        self.patience = patience
        self.ring()

    def heard(self) -> Coroutine[Any, Any, Literal[True]]:
        """The next ring from this call on, not from when it is awaited."""
        return self._rung.wait()


@asynccontextmanager
async def departure(request: HttpRequest) -> AsyncGenerator[asyncio.Task[None]]:
    """A task that ends when the client hangs up. The request's body must have been read."""

    async def hang_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.create_task(hang_up())
    try:
        yield gone
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def hold(
    request: HttpRequest, bell: Bell, seconds: float, attempt: Callable[[], T | None]
) -> T | None:
    """What `attempt` gives, tried now and at every ring; None when `seconds` are over.

    Nothing is tried for a client that has hung up: a job handed to a dead connection is lost.
    """
    began = asyncio.get_running_loop().time()
    async with departure(request) as gone:
        await asyncio.sleep(0)  # a hang-up that is already there is seen now
        while not gone.done():
            if (found := attempt()) is not None:
                return found
            waited = asyncio.get_running_loop().time() - began
            left = min(seconds, bell.patience) - waited
            if left <= 0:
                return None
            rung = asyncio.create_task(bell.heard())
            await asyncio.wait({gone, rung}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            rung.cancel()
    return None
