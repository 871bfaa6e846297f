"""A job: its states, how it ends, and how callers see it."""

import asyncio
from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import Raw, Struct

from gpu_handler.answering import Answer

INTERNAL_ERROR = "INTERNAL_ERROR: the handler could not finish this request"


class JobStatus(StrEnum):
    """`status` as Runpod spells it."""

    IN_QUEUE = "IN_QUEUE"  # waits for a place
    IN_PROGRESS = "IN_PROGRESS"  # photos are worked on
    COMPLETED = "COMPLETED"  # there is an answer
    FAILED = "FAILED"  # the answer is an error
    CANCELLED = "CANCELLED"  # the caller took it back, or the handler left before it began
    TIMED_OUT = "TIMED_OUT"  # no answer within the execution timeout


ENDED = frozenset(JobStatus) - {JobStatus.IN_QUEUE, JobStatus.IN_PROGRESS}


class Outcome(Struct, frozen=True):
    """How a job ended; `output` and `error` are JSON."""

    status: JobStatus
    output: Raw | None = None
    error: Raw | None = None


class Job(Struct, kw_only=True, eq=False):
    """One request through its life. Times are seconds of the backlog's clock.

    `input` is let go of with the end, which sets `over`.
    """

    id: str
    input: Mapping[str, object]
    created: float
    execution_timeout: float
    ttl: float
    retention: float
    status: JobStatus = JobStatus.IN_QUEUE
    started: float | None = None
    ended: float | None = None
    output: Raw | None = None
    error: Raw | None = None
    over: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def size(self) -> int:
        """Bytes of the answer."""
        return len(self.output or b"") + len(self.error or b"")


def outcome(status: JobStatus, error: str) -> Outcome:
    return Outcome(status, error=_json(error))


def outcome_of(answer: Answer) -> Outcome:
    """As Runpod's SDK does it: an `error` fails the job, and what stands beside it stays its
    output; the wish for a fresh worker is none of the caller's business.

    Raises TypeError for what is no JSON.
    """
    output = {name: answer[name] for name in answer.keys() - {"error", "refresh_worker"}}
    if error := answer.get("error"):
        return Outcome(JobStatus.FAILED, _json(output) if output else None, _json(error))
    return Outcome(JobStatus.COMPLETED, _json(output))


def status_body(job: Job) -> dict[str, object]:
    """What `/status` answers; `delayTime` and `executionTime` are whole milliseconds."""
    body: dict[str, object] = {"id": job.id, "status": job.status}
    if job.started is not None:
        body["delayTime"] = round((job.started - job.created) * 1000)
        if job.ended is not None:
            body["executionTime"] = round((job.ended - job.started) * 1000)
    if job.output is not None:
        body["output"] = job.output
    if job.error is not None:
        body["error"] = job.error
    return body


def _json(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
