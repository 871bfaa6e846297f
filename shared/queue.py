"""What crosses between the API's own job queue and the workers that pull from it."""

from typing import Annotated, Any

from msgspec import Meta, Struct

MAX_WAIT = 20.0
"""Seconds that a worker may have the API wait for a job."""

MAX_OUTPUT_BYTES = 4 * 1024 * 1024
"""Of a finish: the summary of 200 photos has about a kilobyte for each."""

MAX_ERROR = 2000
"""Characters."""

WorkerName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+$", max_length=128)]
Lease = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+$", min_length=1, max_length=64)]


class LeaseRequest(Struct, frozen=True):
    """POST /queue/lease: one job at most, waited for `wait` seconds where there is none."""

    worker: WorkerName
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT)] = 0.0


class LeasedJob(Struct, frozen=True):
    """`lease` proves whose it is until `lease_seconds` from now, or from the last renewal.

    `input` is what the handler takes, `execution_seconds` how long the work may take in all.
    """

    id: str
    lease: str
    lease_seconds: float
    execution_seconds: float
    input: dict[str, Any]


class LeaseData(Struct, frozen=True):
    """`job` is null where none came."""

    job: LeasedJob | None = None


class RenewRequest(Struct, frozen=True):
    """POST /queue/{id}/renew."""

    lease: Lease


class RenewData(Struct, frozen=True):
    """Seconds from now; 0 where the job was `canceled` and nobody wants it any more."""

    lease_seconds: float
    canceled: bool


class FinishRequest(Struct, frozen=True):
    """POST /queue/{id}/finish: what the handler returned, or why it returned nothing."""

    lease: Lease
    output: dict[str, Any] | None = None
    error: Annotated[str, Meta(pattern="^[^\0]*$", max_length=MAX_ERROR)] | None = None


class FinishData(Struct, frozen=True):
    """False where the job was canceled meanwhile: what was sent is not kept."""

    accepted: bool
