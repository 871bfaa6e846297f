"""Where jobs are taken, begun two at a time, and ended: by themselves or by what came between."""

import asyncio
import logging
from collections import Counter
from functools import partial

from gpu_handler.adapters.http.backlog import Backlog
from gpu_handler.adapters.http.errors import NotTaken
from gpu_handler.adapters.http.jobs import (
    INTERNAL_ERROR,
    Job,
    JobStatus,
    Outcome,
    outcome,
    outcome_of,
)
from gpu_handler.adapters.http.requests import RunRequest
from gpu_handler.answering import Answer, Handler
from gpu_handler.pipeline.worker import Worker

JOBS_AT_ONCE = 2
"""With one, the device idles through the downloads of the first photos and the uploads of the last.
Device and memory are shared, so more would only make all of them slower."""

WORKER_STATES = ("idle", "initializing", "ready", "running", "throttled", "unhealthy")

CANCELLED = outcome(JobStatus.CANCELLED, "CANCELLED: the caller took it back")
TIMED_OUT = outcome(JobStatus.TIMED_OUT, "TIMED_OUT: executionTimeout exceeded")
NEVER_BEGUN = outcome(JobStatus.CANCELLED, "CANCELLED: the handler left before it began")

log = logging.getLogger(__name__)


class Desk:
    """Every method is called in the event loop's thread.

    A job that was cancelled, or took too long, has ended for its caller at once; its place is free
    when its photos have let go of the worker.
    """

    def __init__(self, handler: Handler, backlog: Backlog, worker: Worker) -> None:
        self.backlog = backlog
        self._handler = handler
        self._worker = worker
        self._running: dict[str, asyncio.Future[Answer]] = {}
        self._leaving = False

    @property
    def is_busy(self) -> bool:
        return len(self._running) >= JOBS_AT_ONCE

    @property
    def has_left(self) -> bool:
        """Nothing runs, and nothing will."""
        return self._leaving and not self._running

    @property
    def why_not(self) -> str | None:
        """Why no job would be taken at this moment; None where one would be."""
        if self._worker.device.lost:
            return "the device is lost"
        if self._leaving:
            return "the handler is leaving"
        return "the queue is full" if self.backlog.is_full else None

    def submit(self, request: RunRequest, *, sync: bool = False) -> Job:
        """Raises NotTaken."""
        if reason := self.why_not:
            raise NotTaken(reason)
        job = self.backlog.add(request, sync=sync)
        self._begin_more()
        return job

    def cancel(self, job_id: str) -> Job:
        """A job that has ended stays as it is. Raises JobNotFound."""
        job = self.backlog.find(job_id)
        self._stop(job, CANCELLED)
        return job

    def leave(self) -> None:
        """Begin nothing more; photos in flight are finished. The second call does nothing."""
        if self._leaving:
            return
        self._leaving = True
        log.info("shutting down: photos in flight are finished, no other is begun")
        for job in self.backlog.waiting():
            self.backlog.end(job, NEVER_BEGUN)
        self._worker.drain()

    def health(self) -> dict[str, dict[str, int]]:
        """As Runpod's; counts of ended jobs are since the start, not of what is still kept.

        This process is one worker. While each of its places is taken it is `throttled` and not
        `running`: of a job that waits for long although some worker is idle, ready or running,
        the service believes that it is stuck, takes it back, and in the end gives it up.
        """
        states = Counter(job.status for job in self.backlog)
        tally = self.backlog.tally
        jobs = {
            "completed": tally[JobStatus.COMPLETED],
            "failed": tally[JobStatus.FAILED] + tally[JobStatus.TIMED_OUT],
            "inProgress": states[JobStatus.IN_PROGRESS],
            "inQueue": states[JobStatus.IN_QUEUE],
            "retried": 0,
        }
        state = self._state()
        return {"jobs": jobs, "workers": {name: int(name == state) for name in WORKER_STATES}}

    def _state(self) -> str:
        if self._leaving or self._worker.device.lost:
            return "unhealthy"
        if self.is_busy:
            return "throttled"
        return "running" if self._running else "idle"

    def _begin_more(self) -> None:
        while not (self.is_busy or self._leaving) and (job := self.backlog.take()):
            self._begin(job)

    def _begin(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(self._handler({"id": job.id, "input": job.input}))
        self._running[job.id] = task
        timer = loop.call_later(job.execution_timeout, self._stop, job, TIMED_OUT)
        task.add_done_callback(partial(self._close, job, timer))

    def _stop(self, job: Job, how: Outcome) -> None:
        # Once only: a second cancellation would make the job let go without waiting for anything.
        if not job.has_ended:
            self.backlog.end(job, how)
            if task := self._running.get(job.id):
                task.cancel()

    def _close(self, job: Job, timer: asyncio.TimerHandle, task: asyncio.Future[Answer]) -> None:
        timer.cancel()
        del self._running[job.id]
        self.backlog.end(job, _result(task))
        # Asked of the device and not of the answer: a cancelled job may end without one.
        if self._worker.device.lost:
            self.leave()
        self._begin_more()


def _result(task: asyncio.Future[Answer]) -> Outcome:
    """Whatever the handler did: it should raise nothing but CancelledError."""
    try:
        return outcome_of(task.result())
    except asyncio.CancelledError:
        return outcome(JobStatus.FAILED, INTERNAL_ERROR)
    except Exception:
        log.exception("the handler failed")
        return outcome(JobStatus.FAILED, INTERNAL_ERROR)
