"""One job: its photos side by side, a callback for each, and a summary of whatever was done."""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence

from gpu_handler.callback import CallbackUrlRefused, Superseded
from gpu_handler.ids import origin
from gpu_handler.pipeline.item import OpenJob, process
from gpu_handler.pipeline.plan import Plan, PlanRefused, make_plan
from gpu_handler.pipeline.stopping import StopReason, StopSign
from gpu_handler.pipeline.worker import Worker
from shared.messages import SCHEMA_VERSION, ItemMessage, ItemResult, JobMessage, JobSummary

GRACE = 3.0
"""Seconds that a stopped job waits for what is under way, before it lets go of it."""

log = logging.getLogger(__name__)


class JobRun:
    """A job in progress on `worker`. Photos take turns by `in_flight`, callbacks do not.

    A photo that is stored makes room for the next one while its callback is still being tried:
    an API that is down for a while costs no time on the device.
    """

    def __init__(self, worker: Worker, message: JobMessage, runpod_job_id: str) -> None:
        """Raises PlanRefused where the message cannot be carried out for any photo."""
        self._worker = worker
        self._message = message
        self._stop = StopSign()
        self._job = OpenJob(message, _plan(worker, message), runpod_job_id, self._stop)
        self._in_flight = asyncio.Semaphore(worker.in_flight(message.batch_concurrency))
        self._results: dict[int, ItemResult] = {}
        self._photos: set[asyncio.Task[None]] = set()
        self._callbacks: set[asyncio.Task[None]] = set()
        self._photos_ended = False
        self._cancelled = False

    async def run(self) -> JobSummary:
        """Work through the photos, stopping early for whatever `stop` or the caller says.

        A first cancellation ends in a summary; a second is raised, with everything let go.
        """
        started, worked = time.monotonic(), self._worker.device.worked
        with self._worker.open(self):
            self._photos = {asyncio.create_task(self._one(i)) for i in self._message.items}
            await self._outlast(self._photos)
            self._photos_ended = True
            if self._stop.reason:
                self._let_go_later()
            await self._outlast(self._callbacks)
        seconds = time.monotonic() - started
        return self._summary(seconds, self._worker.device.worked - worked)

    def stop(self, reason: StopReason) -> None:
        """Begin no further photo. Called from the event loop's thread."""
        self._stop.raise_for(reason)
        if self._stop.drops_photos or self._photos_ended:
            self._let_go_later()

    async def _one(self, item: ItemMessage) -> None:
        async with self._in_flight:
            if self._is_left_out():
                return
            result = await process(self._worker, self._job, item)
        if result is not None:
            log.info("item %d %s", item.idx, result.status, extra={"timings": result.timings})
            self._results[item.idx] = result
            self._callbacks.add(asyncio.create_task(self._report(result)))

    def _is_left_out(self) -> bool:
        """Whether a photo is not to be begun, and not told of either.

        Without a device it is told of all the same: nobody else may know why it was not done.
        """
        if self._worker.device.lost:
            return self._stop.drops_photos
        return self._stop.reason is not None

    async def _report(self, result: ItemResult) -> None:
        try:
            message = self._message
            await self._worker.callbacks.send(message.callback_url, result, origin(message))
        except Superseded as news:
            log.warning("job stopped: %s", news)
            self.stop(StopReason.SUPERSEDED)
        except Exception:
            # The summary carries the item as well: a callback is never worth a photo.
            log.exception("callback of item %d failed", result.idx)

    async def _outlast(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Wait until all `tasks` ended, through one cancellation of the job."""
        try:
            await _all_ended(tasks)
        except asyncio.CancelledError:
            if self._cancelled:
                self._let_go()
                raise
            self._cancelled = True
            self.stop(StopReason.CANCELLED)
            _forget_cancellation()
            await self._outlast(tasks)

    def _let_go_later(self) -> None:
        asyncio.get_running_loop().call_later(GRACE, self._let_go)

    def _let_go(self) -> None:
        for task in (*self._photos, *self._callbacks):
            task.cancel()

    def _summary(self, seconds: float, worked: float) -> JobSummary:
        message = self._message
        items = [self._results[i.idx] for i in message.items if i.idx in self._results]
        complete = len(items) == len(message.items)
        return JobSummary(
            schema_version=SCHEMA_VERSION,
            job_id=message.job_id,
            dispatch_id=message.dispatch_id,
            attempt=message.attempt,
            engine=self._worker.engine.name,
            items=items,
            stopped=None if complete else self._stop.reason,
            seconds=round(seconds, 3),
            timings=_added(items),
            device_idle=round(min(1.0, max(0.0, 1 - worked / max(seconds, 1e-9))), 3),
        )


def _plan(worker: Worker, message: JobMessage) -> Plan:
    """The plan, where the message as a whole makes sense; raises PlanRefused."""
    try:
        worker.callbacks.check(message.callback_url)
    except CallbackUrlRefused as error:
        raise PlanRefused("callback_url", str(error)) from error
    numbers = [item.idx for item in message.items]
    if not numbers:
        raise PlanRefused("items", "is empty")
    if len(set(numbers)) != len(numbers):
        raise PlanRefused("items", "has the same idx twice")
    return make_plan(message.preset, message.concepts, message.protect)


def _added(items: Sequence[ItemResult]) -> dict[str, float]:
    """Seconds per stage of all items, in the order in which stages first appear."""
    sums: dict[str, float] = {}
    for item in items:
        for stage, seconds in (item.timings or {}).items():
            if stage != "total":
                sums[stage] = sums.get(stage, 0.0) + seconds
    return {stage: round(seconds, 3) for stage, seconds in sums.items()}


async def _all_ended(tasks: Collection[asyncio.Task[None]]) -> None:
    if not tasks:
        return
    done, _ = await asyncio.wait(tasks)
    for task in done:
        if not task.cancelled() and (error := task.exception()):
            log.error("a task of the job failed", exc_info=error)


def _forget_cancellation() -> None:
    """Without this, a timeout further out would take the cancellation for its own."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
