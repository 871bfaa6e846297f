"""The jobs of one endpoint: in which order they wait, and how each one ends."""

import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator

from msgspec import Raw

from infra.local.runpod import jobs as steps
from infra.local.runpod.errors import JobNotFound, NotRetryable
from infra.local.runpod.jobs import Job, JobStatus
from infra.local.runpod.requests import RunRequest
from infra.local.runpod.settings import RunpodSettings

log = logging.getLogger(__name__)

Clock = Callable[[], float]
RETRYABLE = (JobStatus.FAILED, JobStatus.TIMED_OUT)


class Backlog:
    """Neither I/O nor a clock of its own.

    `on_change` is called after anything that a held poll could be waiting for, `on_end` with each
    job that reached a final state. `tally` counts ended jobs by status, and `retried`.
    """

    def __init__(
        self,
        settings: RunpodSettings,
        clock: Clock,
        on_change: Callable[[], None],
        on_end: Callable[[Job], None],
    ) -> None:
        self.tally: Counter[str] = Counter()
        self.on_change = on_change
        self._jobs: dict[str, Job] = {}
        self._queue: deque[str] = deque()
        self._settings = settings
        self._clock = clock
        self._on_end = on_end

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def get(self, job_id: str) -> Job | None:
        job = self._jobs.get(job_id)
        # Its time may be over although no sweep has come by yet.
        return None if job is None or self._is_over(job) else job

    def find(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        job = self.get(job_id)
        if job is None:
            raise JobNotFound
        return job

    def waiting(self) -> list[Job]:
        """What no worker has, in the order of service."""
        return [self._jobs[job_id] for job_id in self._queue]

    def submit(self, request: RunRequest, *, sync: bool = False) -> Job:
        """`sync` jobs carry the prefix of `/runsync` and are forgotten sooner."""
        settings, policy = self._settings, request.policy
        limit = policy.execution_timeout if policy else None
        ttl = policy.ttl if policy else None
        job = Job(
            id=f"{'sync-' if sync else ''}{uuid.uuid4()}-u1",
            request=request,
            created=self._clock(),
            execution_timeout=limit / 1000 if limit else settings.execution_timeout,
            ttl=ttl / 1000 if ttl else settings.ttl,
            retention=settings.sync_retention if sync else settings.retention,
        )
        self._jobs[job.id] = job
        self._queue.append(job.id)
        log.info("job %s queued", job.id)
        self.on_change()
        return job

    def cancel(self, job_id: str) -> Job:
        """A job that has ended stays as it is. Raises JobNotFound."""
        job = self.find(job_id)
        if not job.has_ended:
            self.end(job, JobStatus.CANCELLED)
        return job

    def retry(self, job_id: str) -> Job:
        """Raises JobNotFound, NotRetryable."""
        job = self.find(job_id)
        if job.status not in RETRYABLE:
            raise NotRetryable
        job.created = self._clock()
        self._queue.append(job.id)
        self._start_over(job)
        return job

    def purge(self) -> int:
        """Cancel what no worker has yet; gives back how many."""
        waiting = self.waiting()
        for job in waiting:
            self.end(job, JobStatus.CANCELLED)
        return len(waiting)

    def hand_out(self, job: Job, worker_id: str) -> None:
        self._queue.remove(job.id)
        steps.start(job, worker_id, self._clock())
        log.info("job %s taken by %s", job.id, worker_id)

    def put_back(self, job: Job) -> None:
        """Its worker was lost: first in the queue again, or failed if that happened too often."""
        if job.retries >= self._settings.max_retries:
            self.end(job, JobStatus.FAILED, error=Raw(b'"no worker survived this job"'))
            return
        self._queue.appendleft(job.id)
        self._start_over(job)

    def end(
        self, job: Job, to: JobStatus, output: Raw | None = None, error: Raw | None = None
    ) -> None:
        """Raises IllegalTransition."""
        steps.end(job, to, self._clock(), output, error)
        self._leave_queue(job)
        self.tally[to] += 1
        log.info("job %s %s", job.id, to)
        self.on_change()
        self._on_end(job)

    def sweep(self) -> None:
        """Apply every time limit that has passed by now."""
        for job in self:
            if self._is_over(job):
                self._leave_queue(job)
                del self._jobs[job.id]
                self.on_change()
            elif self._is_overdue(job):
                self.end(job, JobStatus.TIMED_OUT, error=Raw(b'"executionTimeout exceeded"'))

    def _start_over(self, job: Job) -> None:
        steps.requeue(job)
        self.tally["retried"] += 1
        log.info("job %s queued again", job.id)
        self.on_change()

    def _leave_queue(self, job: Job) -> None:
        if job.id in self._queue:
            self._queue.remove(job.id)

    def _is_over(self, job: Job) -> bool:
        """Unknown from now on. The ttl is hard: from submission on, and for a running job too."""
        now = self._clock()
        if now >= job.created + job.ttl:
            return True
        return job.ended is not None and now >= job.ended + job.retention

    def _is_overdue(self, job: Job) -> bool:
        if job.status is not JobStatus.IN_PROGRESS or job.started is None:
            return False
        return self._clock() >= job.started + job.execution_timeout
