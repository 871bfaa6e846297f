"""Seconds per stage of one photo."""

import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Stopwatch:
    """Times stages by the wall clock; `total` runs from its creation, waits for a turn included."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time what happens inside; a stage entered twice adds up."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - started)

    @asynccontextmanager
    async def queued(self, place: AbstractAsyncContextManager[object]) -> AsyncGenerator[None]:
        """Hold a place while inside; the wait for it counts as `queue_wait`."""
        started = time.monotonic()
        async with place:
            self.add("queue_wait", time.monotonic() - started)
            yield

    def add(self, stage: str, seconds: float) -> None:
        """Note what somebody else has timed."""
        self._stages[stage] = self._stages.get(stage, 0.0) + seconds

    def timed(
        self, stage: str, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Callable[[], T]:
        """`step` as a call without arguments, to be made in another thread.

        What passes from now until that thread begins counts as `queue_wait`.
        """
        asked = time.monotonic()

        def call() -> T:
            self.add("queue_wait", time.monotonic() - asked)
            with self.stage(stage):
                return step(*args, **kwargs)

        return call

    def timings(self) -> dict[str, float]:
        """Stages in the order they began, then `total`; seconds, rounded to milliseconds."""
        stages = {**self._stages, "total": time.monotonic() - self._started}
        return {name: round(seconds, 3) for name, seconds in stages.items()}
