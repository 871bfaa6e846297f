"""States of jobs and items, and the transitions between them."""

from enum import StrEnum


class JobStatus(StrEnum):
    CREATED = "created"  # credits reserved, photos being uploaded
    UPLOADED = "uploaded"  # every photo is in the bucket
    QUEUED = "queued"  # rule fixed, a dispatch waits or was submitted
    RUNNING = "running"  # the worker gave the first sign of work
    DONE = "done"  # all items ended, at least one succeeded
    FAILED = "failed"  # all items ended, none succeeded
    CANCELED = "canceled"  # by the user or by expiry; what was not done is refunded


class ItemStatus(StrEnum):
    PENDING = "pending"  # nothing known yet
    DONE = "done"  # results are in the bucket; paid
    FAILED = "failed"  # refunded when the job ends


TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.CREATED: frozenset({JobStatus.UPLOADED, JobStatus.CANCELED}),
    JobStatus.UPLOADED: frozenset({JobStatus.QUEUED, JobStatus.CANCELED}),
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELED}),
    JobStatus.RUNNING: frozenset({JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELED}),
    JobStatus.DONE: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
}

OPEN = frozenset(status for status, targets in TRANSITIONS.items() if targets)
WORKING = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
EXECUTED = WORKING | {JobStatus.DONE, JobStatus.FAILED}
CONFIRMED = EXECUTED | {JobStatus.UPLOADED}


def sources(target: JobStatus) -> frozenset[JobStatus]:
    """The states from which `target` may be entered."""
    return frozenset(status for status, targets in TRANSITIONS.items() if target in targets)


def outcome(done_items: int) -> JobStatus:
    """How a job ends whose items have all ended."""
    return JobStatus.DONE if done_items else JobStatus.FAILED
