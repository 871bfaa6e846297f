"""Failures on request, for tests: what the real service was seen to do, made to happen now."""

from msgspec import UNSET, Struct, UnsetType


class Faults(Struct, kw_only=True):
    """What goes wrong next; each count falls by one when it strikes.

    `drop_done`: results are lost, and the worker is told `drop_done_status` (the SDK retries a 5xx
    twice, so with one only the third in a row loses a result). `run_errors`: `/run` answers
    `run_error_status` and queues nothing. `run_hangs`: `/run` queues the job and never answers.
    `duplicates`: a job is handed out a second time. `throttled`: no worker gets any job.
    """

    drop_done: int = 0
    drop_done_status: int = 200
    run_errors: int = 0
    run_error_status: int = 500
    run_hangs: int = 0
    duplicates: int = 0
    drop_webhooks: int = 0
    throttled: bool = False

    def strikes(self, counter: str) -> bool:
        """Whether the fault of this name happens now; counts it."""
        left: int = getattr(self, counter)
        if left > 0:
            setattr(self, counter, left - 1)
        return left > 0


class Control(Struct, frozen=True, forbid_unknown_fields=True):
    """A change from outside: any fault, and what only the platform around the workers knows.

    `drain` stops handing out jobs, as a platform does that is about to stop its workers.
    `gone` names workers whose container ended; their jobs are put back at once.
    """

    drop_done: int | UnsetType = UNSET
    drop_done_status: int | UnsetType = UNSET
    run_errors: int | UnsetType = UNSET
    run_error_status: int | UnsetType = UNSET
    run_hangs: int | UnsetType = UNSET
    duplicates: int | UnsetType = UNSET
    drop_webhooks: int | UnsetType = UNSET
    throttled: bool | UnsetType = UNSET
    drain: bool | UnsetType = UNSET
    gone: list[str] = []

    def apply(self, faults: Faults) -> None:
        for name in Faults.__struct_fields__:
            value = getattr(self, name)
            if value is not UNSET:
                setattr(faults, name, value)
