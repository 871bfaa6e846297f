"""The workers of one endpoint: who has which job, who has gone silent, whose result counts."""

import logging
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Raw

from infra.local.runpod.backlog import Backlog
from infra.local.runpod.faults import Faults
from infra.local.runpod.jobs import Job, JobStatus
from infra.local.runpod.requests import DonePost
from infra.local.runpod.settings import RunpodSettings
from infra.local.runpod.workers import Worker

log = logging.getLogger(__name__)


class Crew:
    """A job belongs to the workers in its `holders`; what they post counts, nothing else does."""

    def __init__(
        self,
        backlog: Backlog,
        settings: RunpodSettings,
        faults: Faults,
        clock: Callable[[], float],
    ) -> None:
        self._workers: dict[str, Worker] = {}
        self._encores: deque[str] = deque()
        self._backlog = backlog
        self._settings = settings
        self._faults = faults
        self._clock = clock

    def take(self, worker_id: str, count: int) -> list[Job]:
        """Up to `count` jobs, oldest first; empty where there is nothing for this worker now."""
        worker = self._hear(worker_id)
        if self._faults.throttled or worker.retired:
            return []
        taken = self._take_encores(worker, count)
        # A worker that was given up and came back may still run its old copy of a job. It gets
        # that job again only when its pings no longer name it, or the old result would count.
        offered = [job for job in self._backlog.waiting() if job.id not in worker.reported]
        for job in offered[: count - len(taken)]:
            self._backlog.hand_out(job, worker_id)
            worker.took(job.id)
            taken.append(job)
            if self._faults.strikes("duplicates"):
                self._encores.append(job.id)
        return taken

    def finish(self, worker_id: str, job_id: str, post: DonePost) -> bool:
        """Record a result; False where it comes too late or from a worker that lost the job."""
        worker = self._worker(worker_id)
        worker.answered(job_id)
        worker.retired = worker.retired or post.stop_pod
        job = self._held(worker_id, job_id)
        if job is None:
            log.info("result of %s from %s ignored", job_id, worker_id)
            return False
        failure = post.failure
        job.worker_id = worker_id
        ended = JobStatus.COMPLETED if failure is None else JobStatus.FAILED
        self._backlog.end(job, ended, post.result, failure)
        return True

    def progress(self, worker_id: str, job_id: str, output: Raw | None) -> bool:
        """Show an update as `output`; one that comes after the end changes nothing."""
        job = self._held(worker_id, job_id)
        if job is not None:
            job.output = output
        return job is not None

    def add_chunk(self, worker_id: str, job_id: str, chunk: Raw) -> bool:
        job = self._held(worker_id, job_id)
        if job is not None:
            job.chunks.append(chunk)
        return job is not None

    def ping(self, worker_id: str, job_ids: Iterable[str], *, healthy: bool) -> None:
        """`job_ids` are those that the worker says it has."""
        worker = self._hear(worker_id)
        worker.unhealthy = not healthy
        worker.reports(frozenset(job_ids))
        self._backlog.on_change()

    def stops(self, worker_id: str) -> list[str]:
        """Jobs this worker has that are no longer its own; told once, unless a ping shows that
        it was not heard."""
        worker = self._worker(worker_id)
        stops = {job_id for job_id in worker.given if self._held(worker_id, job_id) is None}
        worker.was_told(stops)
        return sorted(stops)

    def lose(self, worker_id: str) -> None:
        """The worker is gone or silent: what only it held goes back to the queue."""
        worker = self._workers.get(worker_id)
        if worker is None or worker.lost:
            return
        worker.lost = True
        log.info("worker %s lost", worker_id)
        for job in self._backlog:
            if worker_id in job.holders:
                job.holders.discard(worker_id)
                if not job.holders:
                    self._backlog.put_back(job)

    def sweep(self) -> None:
        """Give up on workers that have been silent for too long."""
        for worker in list(self._workers.values()):
            silent = self._clock() - worker.seen
            if silent >= self._settings.heartbeat_timeout:
                self.lose(worker.id)
            if silent >= self._settings.heartbeat_timeout + self._settings.retention:
                del self._workers[worker.id]

    def present(self) -> list[str]:
        """Workers that are heard from."""
        return [worker.id for worker in self._workers.values() if not worker.lost]

    def retired(self) -> list[str]:
        """Those of them that asked to be stopped."""
        return [worker_id for worker_id in self.present() if self._workers[worker_id].retired]

    def counts(self) -> dict[str, int]:
        """The `workers` of `/health`. What `ready` counts is not documented: idle and running."""
        present = [self._workers[worker_id] for worker_id in self.present()]
        usable = [worker for worker in present if not worker.unhealthy]
        busy = {holder for job in self._backlog for holder in job.holders}
        running = sum(worker.id in busy for worker in usable)
        throttled = len(usable) - running if self._faults.throttled else 0
        return {
            "idle": len(usable) - running - throttled,
            "initializing": 0,
            "ready": len(usable) - throttled,
            "running": running,
            "throttled": throttled,
            "unhealthy": len(present) - len(usable),
        }

    def _worker(self, worker_id: str) -> Worker:
        if worker_id not in self._workers:
            self._workers[worker_id] = Worker(id=worker_id, seen=self._clock())
        return self._workers[worker_id]

    def _hear(self, worker_id: str) -> Worker:
        worker = self._worker(worker_id)
        worker.seen = self._clock()
        worker.lost = False
        return worker

    def _held(self, worker_id: str, job_id: str) -> Job | None:
        job = self._backlog.get(job_id)
        return job if job is not None and worker_id in job.holders else None

    def _take_encores(self, worker: Worker, count: int) -> list[Job]:
        """Jobs that a fault delivers a second time, whatever became of them meanwhile."""
        taken: list[Job] = []
        while self._encores and len(taken) < count:
            job = self._backlog.get(self._encores.popleft())
            if job is None:
                continue
            if job.status is JobStatus.IN_PROGRESS:
                job.holders.add(worker.id)
            log.info("job %s taken again by %s", job.id, worker.id)
            taken.append(job)
        return taken
