"""The jobs that wait, that run and that ended a while ago."""

import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from operator import itemgetter

from gpu_handler.adapters.http.errors import JobNotFound
from gpu_handler.adapters.http.jobs import Job, JobStatus, Outcome
from gpu_handler.adapters.http.requests import RunRequest

MINUTE = 60.0
EXECUTION_TIMEOUT = 10 * MINUTE
TTL = 24 * 60 * MINUTE
RETENTION = 30 * MINUTE
SYNC_RETENTION = MINUTE
"""Seconds; the defaults and retentions are Runpod's."""

KEPT_BYTES = 256 * 1024 * 1024
"""An answer to the console is up to 8 MB; a job's has about a kilobyte for each photo."""

log = logging.getLogger(__name__)


class Backlog:
    """At most `size` jobs wait. Neither I/O nor a clock of its own (seconds, never going back).

    Time limits are applied whenever it is asked for something. `tally` counts what ended, by
    status.
    """

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self.tally: Counter[JobStatus] = Counter()
        self._size = size
        self._clock = clock
        self._waiting: deque[Job] = deque()
        self._jobs: dict[str, Job] = {}

    def __iter__(self) -> Iterator[Job]:
        self._sweep()
        return iter(list(self._jobs.values()))

    @property
    def is_full(self) -> bool:
        return len(self.waiting()) >= self._size

    def waiting(self) -> list[Job]:
        """In the order of service."""
        self._sweep()
        return list(self._waiting)

    def add(self, request: RunRequest, *, sync: bool = False) -> Job:
        """`sync` jobs carry the prefix of `/runsync` and are forgotten sooner."""
        policy = request.policy
        job = Job(
            id=f"{'sync-' if sync else ''}{uuid.uuid4()}",
            input=request.input,
            created=self._clock(),
            execution_timeout=_seconds(policy.execution_timeout, EXECUTION_TIMEOUT),
            ttl=_seconds(policy.ttl, TTL),
            retention=SYNC_RETENTION if sync else RETENTION,
        )
        self._jobs[job.id] = job
        self._waiting.append(job)
        return job

    def take(self) -> Job | None:
        """The next one, which is in progress from now on."""
        self._sweep()
        if not self._waiting:
            return None
        job = self._waiting.popleft()
        job.status, job.started = JobStatus.IN_PROGRESS, self._clock()
        return job

    def find(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        self._sweep()
        if job_id not in self._jobs:
            raise JobNotFound
        return self._jobs[job_id]

    def end(self, job: Job, how: Outcome) -> None:
        """The first end counts: a job that has ended stays as it is."""
        if job.has_ended:
            return
        if job.status is JobStatus.IN_QUEUE:
            self._waiting.remove(job)
        job.status, job.output, job.error = how.status, how.output, how.error
        job.ended = self._clock()
        job.input = {}
        job.over.set()
        self.tally[job.status] += 1
        log.info("job %s", job.status, extra={"runpod_job_id": job.id})

    def _sweep(self) -> None:
        now = self._clock()
        for job in list(self._jobs.values()):
            if job.ended is not None and now >= job.ended + job.retention:
                del self._jobs[job.id]
            elif job.status is JobStatus.IN_QUEUE and now >= job.created + job.ttl:
                self._waiting.remove(job)
                del self._jobs[job.id]
        self._make_room()

    def _make_room(self) -> None:
        """Forget the oldest answers, down to KEPT_BYTES."""
        ended = [(job.ended, job) for job in self._jobs.values() if job.ended is not None]
        kept = sum(job.size for _, job in ended)
        for _, job in sorted(ended, key=itemgetter(0)):
            if kept <= KEPT_BYTES:
                return
            kept -= job.size
            del self._jobs[job.id]


def _seconds(milliseconds: int | None, default: float) -> float:
    return default if milliseconds is None else milliseconds / 1000
