"""The worker's threads beside the device's: a few for pixels, more for the network."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lanes:
    """Shared by all jobs of the worker. What a cancelled job began, its thread finishes alone."""

    def __init__(self, *, pixels: int, network: int) -> None:
        self._pixels = ThreadPoolExecutor(pixels, "pixels")
        self._network = ThreadPoolExecutor(network, "network")

    async def pixels(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step that computes on whole photos."""
        return await _run(self._pixels, partial(step, *args, **kwargs))

    async def network(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step that waits for the object store."""
        return await _run(self._network, partial(step, *args, **kwargs))

    def close(self) -> None:
        """Wait for the steps that run; those that have not begun are dropped."""
        for lane in (self._pixels, self._network):
            lane.shutdown(cancel_futures=True)


async def _run(lane: ThreadPoolExecutor, step: Callable[[], T]) -> T:
    # The context carries the job's id into the log lines of the thread.
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(lane, context.run, step)
