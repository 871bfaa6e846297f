"""Pictures walked through a few rows at a time: whole copies would cost memory and page faults."""

from collections.abc import Iterator

_ROWS = 128


def strips(height: int) -> Iterator[slice]:
    return (slice(y, min(y + _ROWS, height)) for y in range(0, height, _ROWS))
