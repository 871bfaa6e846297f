"""The one thread that owns the engine, and the photos of all jobs that wait for it."""

import asyncio
import contextvars
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from gpu_handler.devices.errors import DeviceLost
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.pipeline.stopping import Stopped, StopSign
from gpu_handler.pipeline.stopwatch import Stopwatch
from gpu_handler.segment.base import Segmentation, Segmenter
from shared.presets import Concept

CLOSE_PATIENCE = 30.0
"""Seconds that `close` waits for a call under way: one that hangs must not keep the process."""

CLOSED = "the device takes no more photos"

log = logging.getLogger(__name__)

Seen: TypeAlias = list[Segmentation]


class DeviceClosed(RuntimeError):
    """The worker is going away; this photo will not have its turn."""


class _Request(Struct, eq=False):
    """A prepared photo on its way through the device. `taken` is None while it waits."""

    photo: Pixels
    concepts: Sequence[Concept]
    stop: StopSign
    watch: Stopwatch
    future: Future[Seen]
    context: contextvars.Context
    queued: float
    taken: float | None = None

    def take(self) -> bool:
        """False where nobody wants it any more; nothing is to be done for it then."""
        if not self.future.set_running_or_notify_cancel():
            return False
        self.taken = time.monotonic()
        self.watch.add("device_wait", self.taken - self.queued)
        return not self.drop_if_stopped()

    def drop_if_stopped(self) -> bool:
        if self.stop.drops_photos:
            self.future.set_exception(Stopped())
            return True
        return False

    def succeed(self, seen: Seen) -> None:
        self._note_time()
        self.future.set_result(seen)

    def fail(self, error: Exception) -> None:
        self._note_time()
        self.future.set_exception(error)

    def _note_time(self) -> None:
        if self.taken is not None:
            self.watch.add("segment", time.monotonic() - self.taken)


class DeviceQueue:
    """Shared by all jobs of the worker; the engine's `segment` is called from its thread alone.

    Whatever waits when the device is free goes through together, as many photos at once as the
    engine does best with. It never lingers for company while the device is idle: then the other
    stages are what is slow, a photo that waits would only end later, and where the device is what
    is slow, company gathers during each call by itself.

    Jobs take turns photo by photo, each with its oldest: a large job cannot keep out a small one.

    A thread and not a lock: a cancelled `await` would release a lock while the call behind it
    still runs, and the next photo would use the device at the same time.
    """

    def __init__(self, engine: Segmenter) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._waiting: OrderedDict[StopSign, deque[_Request]] = OrderedDict()
        self._closed = False
        self._lost: str | None = None
        self._worked = 0.0
        self._began: float | None = None
        # A daemon: a device that hangs for good must not keep a process that wants to leave.
        self._thread = threading.Thread(target=self._work, name="device", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether the device is gone for good: only another process will have one."""
        return self._lost is not None

    @property
    def worked(self) -> float:
        """Seconds that the device has worked for anybody, the call under way included."""
        with self._changed:
            under_way = 0.0 if self._began is None else time.monotonic() - self._began
            return self._worked + under_way

    def check(self) -> None:
        """Raises DeviceLost where there is no sense in beginning a photo."""
        if self._lost is not None:
            raise DeviceLost(self._lost)

    async def segment(
        self, photo: Pixels, concepts: Sequence[Concept], stop: StopSign, watch: Stopwatch
    ) -> Seen:
        """What the engine finds in a photo that it has prepared; `stop` also tells jobs apart.

        Times `device_wait`, from here until the device takes the photo, and `segment`, the wall
        time from there to its answer: the whole batch's, since that is what the photo waits for.

        Raises Stopped where the job was stopped while the photo waited; DeviceLost, at once where
        it is known; DeviceExhausted, or any other error of the engine, once it failed for this
        photo alone; DeviceClosed. A cancelled call takes its photo out of the queue.
        """
        request = _Request(
            photo, concepts, stop, watch, Future(), contextvars.copy_context(), time.monotonic()
        )
        with self._changed:
            self.check()
            if self._closed:
                raise DeviceClosed(CLOSED)
            self._waiting.setdefault(stop, deque()).append(request)
            self._changed.notify()
        return await asyncio.wrap_future(request.future)

    def close(self, patience: float = CLOSE_PATIENCE) -> None:
        """Wait for the call under way, at most `patience` seconds; photos that wait fail with
        DeviceClosed."""
        self._end()
        self._thread.join(patience)
        if self._thread.is_alive():
            log.error("the device has not answered for %g s; left to itself", patience)

    def _end(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._fail_waiting(partial(DeviceClosed, CLOSED))

    def _work(self) -> None:
        try:
            while batch := self._next():
                self._serve(batch)
        finally:  # whatever ended this thread, nothing waits for it in vain
            self._end()

    def _next(self) -> list[_Request]:
        """Blocks until there is something to do; empty where there never will be."""
        with self._changed:
            while not self._closed and self._lost is None:
                if batch := self._take(max(1, self._engine.photos_at_once)):
                    return batch
                self._changed.wait()
        return []

    def _take(self, most: int) -> list[_Request]:
        """Up to `most` of what waits; photos that nobody wants any more count for nothing."""
        batch: list[_Request] = []
        while self._waiting and len(batch) < most:
            job, requests = self._waiting.popitem(last=False)
            request = requests.popleft()
            if requests:
                self._waiting[job] = requests  # behind the others: it was this job's turn
            if request.take():
                batch.append(request)
        return batch

    def _serve(self, batch: list[_Request]) -> None:
        """Answer every request; one by one where they failed together, as one may be to blame."""
        try:
            answers = self._segment(batch)
        except DeviceLost as error:
            self._give_up(batch, error)
        except BaseException as error:  # noqa: BLE001 - the thread's edge; Rust panics are no Exceptions
            if len(batch) == 1:
                batch[0].fail(_harmless(error))
                return
            log.warning("a batch of %d photos failed, each is tried alone: %r", len(batch), error)
            self._serve_apart(batch)
        else:
            for request, seen in zip(batch, answers, strict=True):
                request.succeed(seen)

    def _serve_apart(self, batch: list[_Request]) -> None:
        for request in batch:
            if self._lost is not None:
                request.fail(DeviceLost(self._lost))
            elif not request.drop_if_stopped():
                self._serve([request])

    def _segment(self, batch: list[_Request]) -> list[Seen]:
        photos = [request.photo for request in batch]
        concepts = [request.concepts for request in batch]
        with self._working():
            answers = _shared_context(batch).run(self._engine.segment, photos, concepts)
        if len(answers) != len(batch):
            raise RuntimeError(f"{len(answers)} answers to {len(batch)} photos")
        return answers

    @contextmanager
    def _working(self) -> Generator[None]:
        with self._changed:
            self._began = began = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._worked += time.monotonic() - began
                self._began = None

    def _give_up(self, batch: list[_Request], error: DeviceLost) -> None:
        """Nothing works from here on: those at hand, those that wait, those that will come."""
        log.critical("the device is lost, a fresh worker is needed: %s", error, exc_info=error)
        with self._changed:
            self._lost = str(error) or "the device is lost"
        for request in batch:
            request.fail(DeviceLost(self._lost))
        self._fail_waiting(partial(DeviceLost, self._lost))

    def _fail_waiting(self, reason: partial[Exception]) -> None:
        with self._changed:
            waiting = [request for queue in self._waiting.values() for request in queue]
            self._waiting.clear()
        for request in waiting:
            if request.take():
                request.fail(reason())


def _shared_context(batch: Sequence[_Request]) -> contextvars.Context:
    """Log lines name the job where there is one to name: not for photos of several."""
    first = batch[0]
    one_job = all(request.stop is first.stop for request in batch)
    return first.context if one_job else contextvars.Context()


def _harmless(error: BaseException) -> Exception:
    """What may be raised in the event loop without ending it."""
    if isinstance(error, Exception):
        return error
    stopped = RuntimeError(f"the engine ended with {type(error).__name__}")
    stopped.__cause__ = error
    return stopped
