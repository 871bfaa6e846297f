"""What all jobs of one worker process share."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from gpu_handler.callback import CallbackClient
from gpu_handler.pipeline.lanes import Lanes
from gpu_handler.pipeline.stopping import StopReason
from gpu_handler.segment.base import Segmenter


class Store(Protocol):
    """The part of shared.objects.ObjectStore that a job needs; synchronous, thread-safe."""

    def get(self, key: str, *, max_bytes: int) -> bytes: ...

    def put(self, key: str, body: bytes | memoryview, content_type: str) -> None: ...


class Running(Protocol):
    """A job, as the worker sees it."""

    def stop(self, reason: StopReason) -> None: ...


class Worker:
    """The engine, the stores and the limits of this process.

    `batch_concurrency` is the largest number of photos one job may have in flight. `darkroom`
    lets in as many photos of all jobs together: a decoded photo and its masks take some hundred
    megabytes, while one that waits outside is only a compressed file.
    """

    def __init__(
        self,
        engine: Segmenter,
        store: Store,
        callbacks: CallbackClient,
        *,
        batch_concurrency: int,
    ) -> None:
        self.engine = engine
        self.store = store
        self.callbacks = callbacks
        self.batch_concurrency = batch_concurrency
        self.lanes = Lanes(pixels=batch_concurrency, network=min(4 * batch_concurrency, 32))
        self.darkroom = asyncio.Semaphore(batch_concurrency)
        self._draining = False
        self._running: set[Running] = set()

    @contextmanager
    def open(self, job: Running) -> Generator[None]:
        """Know of a job while it runs; one that begins in a worker that drains stops at once."""
        self._running.add(job)
        if self._draining:
            job.stop(StopReason.SHUTDOWN)
        try:
            yield
        finally:
            self._running.discard(job)

    def drain(self) -> None:
        """Finish the photos in flight and begin no other. Called from the event loop's thread."""
        self._draining = True
        for job in tuple(self._running):
            job.stop(StopReason.SHUTDOWN)

    def close(self) -> None:
        """Wait for the threads. To be called when no job runs any more."""
        self.lanes.close()
