"""Small tables of measurements."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and what the call returned."""
    started = time.perf_counter()
    answer = call()
    return time.perf_counter() - started, answer


def repeated(call: Callable[[], object], rounds: int) -> list[float]:
    """Seconds of each round."""
    return [timed(call)[0] for _ in range(rounds)]


def heading(title: str, *columns: str) -> None:
    print(f"\n{title}")
    line("", *columns)


def row(name: str, *values: float) -> None:
    line(name, *(f"{value:.2f}" for value in values))


def line(name: str, *cells: str) -> None:
    """A row of words, written at once: some tables take minutes."""
    print(f"{name:38}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def latency_row(name: str, seconds: Sequence[float]) -> None:
    """Median and largest, in milliseconds."""
    row(name, statistics.median(seconds) * 1000, max(seconds) * 1000)
