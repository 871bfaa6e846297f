"""A job: its states, the steps between them, and how callers and workers see it."""

from enum import StrEnum

import msgspec
from msgspec import Raw, Struct

from infra.local.runpod.errors import IllegalTransition
from infra.local.runpod.requests import RunRequest


class JobStatus(StrEnum):
    """`status` as the service spells it."""

    IN_QUEUE = "IN_QUEUE"  # waits for a worker
    IN_PROGRESS = "IN_PROGRESS"  # a worker took it
    COMPLETED = "COMPLETED"  # the handler returned
    FAILED = "FAILED"  # the handler raised or returned an error, or no worker survived it
    CANCELLED = "CANCELLED"  # the caller took it back
    TIMED_OUT = "TIMED_OUT"  # no result within the execution timeout


_S = JobStatus
ENDED = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED, _S.TIMED_OUT})
TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    _S.IN_QUEUE: frozenset({_S.IN_PROGRESS, _S.CANCELLED}),
    _S.IN_PROGRESS: frozenset({_S.IN_QUEUE, *ENDED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset({_S.IN_QUEUE}),
    _S.CANCELLED: frozenset(),
    _S.TIMED_OUT: frozenset({_S.IN_QUEUE}),
}


class Job(Struct, kw_only=True):
    """One request through its life. Times are seconds of the emulator's clock.

    `holders` are the workers whose result counts; more than one only after a double delivery.
    """

    id: str
    request: RunRequest
    created: float
    execution_timeout: float
    ttl: float
    retention: float
    status: JobStatus = JobStatus.IN_QUEUE
    worker_id: str | None = None
    holders: set[str] = msgspec.field(default_factory=set[str])
    started: float | None = None
    ended: float | None = None
    retries: int = 0
    output: Raw | None = None
    error: Raw | None = None
    chunks: list[Raw] = msgspec.field(default_factory=list[Raw])

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


def advance(job: Job, to: JobStatus) -> None:
    """Take one step of `TRANSITIONS`. Raises IllegalTransition."""
    if to not in TRANSITIONS[job.status]:
        raise IllegalTransition(f"{job.id}: {job.status} -> {to}")
    job.status = to


def start(job: Job, worker_id: str, now: float) -> None:
    advance(job, JobStatus.IN_PROGRESS)
    job.worker_id = worker_id
    job.holders = {worker_id}
    job.started = now


def end(job: Job, to: JobStatus, now: float, output: Raw | None, error: Raw | None) -> None:
    """Also replaces what progress updates left in `output`."""
    advance(job, to)
    job.ended = now
    job.output = output
    job.error = error
    job.holders = set()


def requeue(job: Job) -> None:
    """Back to the queue as if nothing had run, but for the count of retries."""
    advance(job, JobStatus.IN_QUEUE)
    job.retries += 1
    job.worker_id = job.started = job.ended = job.output = job.error = None
    job.holders = set()
    job.chunks = []


def status_body(job: Job) -> dict[str, object]:
    """What `/status` answers; `delayTime` and `executionTime` are whole milliseconds."""
    body: dict[str, object] = {"id": job.id, "status": job.status}
    if job.started is not None:
        body["delayTime"] = round((job.started - job.created) * 1000)
    if job.started is not None and job.ended is not None:
        body["executionTime"] = round((job.ended - job.started) * 1000)
    optional = {"output": job.output, "error": job.error, "workerId": job.worker_id}
    body |= {name: value for name, value in optional.items() if value is not None}
    if job.retries:
        body["retries"] = job.retries
    return body


def worker_message(job: Job) -> dict[str, object]:
    """What a worker gets: the request's own fields beside the id, as the service passes them on."""
    return {"id": job.id, **job.request.passed_on()}


def webhook_body(job: Job) -> dict[str, object]:
    """As observed on the service: the status, and the whole input and webhook URL echoed."""
    return {**status_body(job), "input": job.request.input, "webhook": job.request.webhook}
