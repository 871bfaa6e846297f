"""How calls are timed beside each other, and how a run ends in time."""

import statistics
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from tests.benchmarks.sam3.device import Device

LONG = 2.0
"""A first run longer than this many seconds counts as a measurement: a warm-up weighs little."""

RESOLUTION = 0.03
"""Short calls are repeated until this many seconds have passed between two looks at the clock."""


class Timing(Struct, frozen=True):
    """Seconds per call: the median of some rounds, the best and the worst."""

    seconds: float
    low: float
    high: float
    rounds: int
    estimated: bool = False

    def times(self, factor: float, *, estimated: bool = False) -> "Timing":
        """The timing of `factor` such calls, or of a part of one."""
        return Timing(
            self.seconds * factor,
            self.low * factor,
            self.high * factor,
            self.rounds,
            estimated or self.estimated,
        )

    def plus(self, other: "Timing") -> "Timing":
        """Both, one after the other: computed, not measured."""
        return Timing(
            self.seconds + other.seconds,
            self.low + other.low,
            self.high + other.high,
            min(self.rounds, other.rounds),
            estimated=True,
        )


class Budget:
    """Seconds that may still pass. What does not fit is left out, and named."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def share(self, fraction: float) -> "Budget":
        """A part of what is left."""
        return Budget(self.left * fraction)


def interleaved(
    device: Device, calls: Mapping[str, Callable[[], object]], rounds: int, limit: float
) -> dict[str, Timing]:
    """Time all calls in turns, A B A B, so that a slow minute of the machine falls on all alike.

    Every call runs at least once beyond its warm-up; after `limit` seconds no round begins.
    """
    samples: dict[str, list[float]] = {}
    times: dict[str, int] = {}
    budget = Budget(limit)
    for name, call in calls.items():
        first = device.seconds(call)
        samples[name] = [first] if first > LONG else []
        times[name] = 1 if first > RESOLUTION else _repeats(device, call)
    for round_ in range(rounds):
        for name, call in calls.items():
            if len(samples[name]) <= round_ and (budget.left or not samples[name]):
                samples[name].append(device.seconds(call, times[name]))
    return {name: _timing(taken) for name, taken in samples.items()}


def _repeats(device: Device, call: Callable[[], object]) -> int:
    return max(1, min(50, round(RESOLUTION / max(device.seconds(call), 1e-6))))


def _timing(seconds: list[float]) -> Timing:
    return Timing(statistics.median(seconds), min(seconds), max(seconds), len(seconds))
