"""The worker's threads: one that owns the engine, a few for pixels, more for the network."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lanes:
    """Shared by all jobs of the worker. A job that is cancelled leaves its thread to finish alone.

    The device lane is one thread and not a lock: a cancelled `await` would release a lock while
    the thread behind it still runs, and the next job would use the device at the same time.
    """

    def __init__(self, *, pixels: int, network: int) -> None:
        self._device = ThreadPoolExecutor(1, "device")
        self._pixels = ThreadPoolExecutor(pixels, "pixels")
        self._network = ThreadPoolExecutor(network, "network")

    async def device(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step on the engine; never two at once."""
        return await _run(self._device, partial(step, *args, **kwargs))

    async def pixels(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step that computes on whole photos."""
        return await _run(self._pixels, partial(step, *args, **kwargs))

    async def network(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step that waits for the object store."""
        return await _run(self._network, partial(step, *args, **kwargs))

    def close(self) -> None:
        """Wait for the steps that run; those that have not begun are dropped."""
        for lane in (self._device, self._pixels, self._network):
            lane.shutdown(cancel_futures=True)


async def _run(lane: ThreadPoolExecutor, step: Callable[[], T]) -> T:
    # The context carries the job's id into the log lines of the thread.
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(lane, context.run, step)
