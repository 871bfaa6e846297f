"""Why and how a job ends before its last photo."""

from enum import StrEnum


class StopReason(StrEnum):
    """What `JobSummary.stopped` says."""

    CANCELLED = "cancelled"  # the service asked for it; photos in flight are dropped
    SUPERSEDED = "superseded"  # another attempt has taken over; photos in flight are dropped
    SHUTDOWN = "shutdown"  # the worker goes away; photos in flight are finished


class Stopped(Exception):
    """This photo is no longer wanted."""


class StopSign:
    """Seen by every step of one job. The first reason holds, but a shutdown gives way."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None

    def raise_for(self, reason: StopReason) -> None:
        if self.reason in (None, StopReason.SHUTDOWN):
            self.reason = reason

    @property
    def drops_photos(self) -> bool:
        return self.reason in (StopReason.CANCELLED, StopReason.SUPERSEDED)

    def check(self) -> None:
        """Raises Stopped where photos in flight are to be dropped; called between two steps."""
        if self.drops_photos:
            raise Stopped
