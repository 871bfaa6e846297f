"""What all jobs of one worker process share."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from gpu_handler.callback import CallbackClient
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.device import DeviceQueue
from gpu_handler.pipeline.lanes import Lanes
from gpu_handler.pipeline.stopping import StopReason
from gpu_handler.segment.base import Segmenter

MOST_AHEAD = 16
"""At 12 megapixels 600 MB of decoded photos, at the most 2.4 GB."""


class Store(Protocol):
    """The part of shared.objects.ObjectStore that a job needs; synchronous, thread-safe."""

    def get(self, key: str, *, max_bytes: int, etag: str | None = None) -> bytes: ...

    def put(self, key: str, body: bytes | memoryview, content_type: str) -> None: ...


class Running(Protocol):
    """A job, as the worker sees it."""

    def stop(self, reason: StopReason) -> None: ...


class Worker:
    """The engine, the stores and the limits of this process.

    Of one job, `batch_concurrency` photos at the most are in flight, and `ahead` more where the
    engine takes several at once: enough to fill its next call while one is under way. With four
    in flight, of which some are being read and some painted, a call of eight could never be
    filled.

    `darkroom` lets in the photos of all jobs together that are held decoded: 3 bytes a pixel, 36
    MB for 12 megapixels, 150 MB at the most. `easels` are for those of them that are painted and
    encoded, which with masks and layers takes some hundred megabytes each: they stay as few as
    `batch_concurrency`, whatever the engine likes. A photo holds its place in the darkroom while
    it waits for an easel, and never the other way round. Letting go of the decoded pixels for the
    wait would save memory that a machine with such a device has, and cost a second decoding.
    """

    def __init__(
        self,
        engine: Segmenter,
        store: Store,
        callbacks: CallbackClient,
        *,
        brushwork: Brushwork,
        batch_concurrency: int,
    ) -> None:
        self.engine = engine
        self.brushwork = brushwork
        self.store = store
        self.callbacks = callbacks
        self.batch_concurrency = batch_concurrency
        self.ahead = _ahead(engine.photos_at_once)
        self.lanes = Lanes(pixels=batch_concurrency, network=min(4 * batch_concurrency, 32))
        self.device = DeviceQueue(engine)
        self.darkroom = asyncio.Semaphore(batch_concurrency + self.ahead)
        self.easels = asyncio.Semaphore(batch_concurrency)
        self._draining = False
        self._running: set[Running] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def in_flight(self, wanted: int) -> int:
        """How many photos of one job may be in flight where its message wants `wanted`.

        One that wants them one by one gets them one by one.
        """
        limit = min(max(1, wanted), self.batch_concurrency)
        return limit + self.ahead if limit > 1 else 1

    @contextmanager
    def open(self, job: Running) -> Generator[None]:
        """Know of a job while it runs; one that begins in a worker that drains stops at once."""
        self._running.add(job)
        self._idle.clear()
        if self._draining:
            job.stop(StopReason.SHUTDOWN)
        try:
            yield
        finally:
            self._running.discard(job)
            if not self._running:
                self._idle.set()

    async def until_idle(self, seconds: float) -> bool:
        """Wait until no job runs; False where that takes longer than `seconds`."""
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def drain(self) -> None:
        """Finish the photos in flight and begin no other. Called from the event loop's thread."""
        self._draining = True
        for job in tuple(self._running):
            job.stop(StopReason.SHUTDOWN)

    def close(self) -> None:
        """Wait for the threads. To be called when no job runs any more."""
        self.device.close()
        self.lanes.close()


def _ahead(photos_at_once: int) -> int:
    """A call under way and the one after it; nothing where photos go one by one."""
    return min(2 * photos_at_once, MOST_AHEAD) if photos_at_once > 1 else 0
