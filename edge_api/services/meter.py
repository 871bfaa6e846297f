"""What counts as GPU time, and at which rate."""

from collections.abc import Mapping

from msgspec import Struct

from edge_api.settings import GPU_RATE
from edge_api.storage.jobs import GpuTime

LONGEST = 7 * 86400 * 1000
"""Milliseconds; Runpod runs nothing for longer than seven days. PostgreSQL's integers end later."""


class Meter(Struct, frozen=True):
    """`rate` in nano-dollars per second, `concurrency` the photos of a job in flight at once."""

    rate: int = GPU_RATE
    concurrency: int = 4

    def time(self, timings: Mapping[str, float] | None, items: int) -> GpuTime | None:
        """An item's share of its worker's time; None where the worker said nothing of it.

        A worker is billed as a whole, whatever stage its photos are in. By Little's law the times
        that photos spend in it add up to its own time multiplied by how many are in it on average:
        `concurrency` or all of a small job, and at the end one less with each that leaves. An
        engine that takes more at once costs less than this says; what Runpod says of the attempt
        takes the place of both.
        """
        total = (timings or {}).get("total")
        if total is None:
            return None
        most = max(1, min(self.concurrency, items))
        together = most - most * (most - 1) / (2 * max(items, most))
        return GpuTime(clamp(total * 1000 / together), self.rate)


def clamp(ms: float) -> int:
    """Whole milliseconds that the database takes, of whatever somebody has reported."""
    return round(min(max(ms, 0.0), float(LONGEST)))
