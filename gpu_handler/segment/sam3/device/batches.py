"""Cutting a list into batches of few different sizes, and into smaller ones where memory ends."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from gpu_handler.devices.errors import DeviceExhausted
from gpu_handler.devices.torch_faults import Fault, fault_of, release_frames, told

GROWS_AFTER = 200
"""Full batches at a lowered limit until the next larger size is tried again. A try that fails costs
about two batches, so at most 1 %, and doubles the wait for the next."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class Batch(Struct, frozen=True):
    """Entries `start` to `stop` of a list, to be run as `size` of them: the rest is padding."""

    start: int
    stop: int
    size: int

    def of(self, entries: Sequence[T]) -> list[T]:
        """The batch's entries, then the last of them again and again up to its size."""
        chosen = list(entries[self.start : self.stop])
        return chosen + chosen[-1:] * (self.size - len(chosen))


class Limit:
    """How many entries fit at once: a budget, lowered where memory turned out to end earlier.

    It stays lowered for the process, but for a try of the next larger size after GROWS_AFTER full
    batches that went well: what took the memory may be gone.
    """

    def __init__(self, what: str, largest: int, padding: float = 0.0) -> None:
        """`what`: the entries' name in the log, in plural. `largest` is rounded down to a size."""
        self.what, self._padding = what, padding
        self._budget = self._largest = _power_of_two(largest)
        self._patience, self._successes, self._trying = GROWS_AFTER, 0, False

    @property
    def largest(self) -> int:
        return self._largest

    def batch(self, start: int, count: int) -> Batch:
        """The next batch of a list of `count` entries of which `start` are done."""
        size = fitting(count - start, self._largest, self._padding)
        return Batch(start, min(start + size, count), size)

    def went_well(self, batch: Batch) -> None:
        if batch.size < self._largest:
            return
        self._successes, self._trying = self._successes + 1, False
        if self._largest < self._budget and self._successes >= self._patience:
            self._largest, self._successes, self._trying = 2 * self._largest, 0, True
            log.info("trying %d %s at once again", self._largest, self.what)

    def lower(self, batch: Batch, reason: str) -> None:
        """Half of what `batch` tried. Raises DeviceExhausted where that was a single entry."""
        if batch.size == 1:
            raise DeviceExhausted(f"no memory for even one of the {self.what}: {reason}")
        if self._trying:
            self._patience *= 2
        self._largest, self._successes, self._trying = batch.size // 2, 0, False
        log.warning(
            "out of memory: from now on %d %s at once: %s", self._largest, self.what, reason
        )

    def restore(self) -> None:
        """Back to the budget: what the memory was short of has changed."""
        self._largest, self._successes, self._trying = self._budget, 0, False


def run_halving(
    count: int, limit: Limit, step: Callable[[Batch], None], free: Callable[[], None]
) -> None:
    """Run `step` on batches until `count` entries are done, on smaller ones where memory ends.

    A step that runs out of memory is run again, on fewer entries from the same start; it must have
    kept nothing of the failed try. `free` is called in between, when the tensors of the failed try
    are gone. Any other error passes. Raises DeviceExhausted where a single entry does not fit.
    """
    done = 0
    while done < count:
        batch = limit.batch(done, count)
        shortage = _shortage(step, batch)
        if shortage is None:
            limit.went_well(batch)
            done = batch.stop
        else:
            free()
            limit.lower(batch, shortage)


def _shortage(step: Callable[[Batch], None], batch: Batch) -> str | None:
    """None where the step did its work, else how memory ended, in a line.

    The text and not the error: its traceback would keep the step's tensors alive.
    """
    try:
        step(batch)
    except Exception as error:
        if fault_of(error) is not Fault.MEMORY:
            raise
        release_frames(error)
        return told(error)
    return None


def fitting(count: int, largest: int, padding: float = 0.0) -> int:
    """The batch size that the first of `count` entries, 1 or more, are best run as.

    Sizes are powers of two up to `largest`, itself one: few sizes keep compiled graphs and captured
    ones few. `padding` in 0..1 is the largest share of a batch that may be filled up with copies,
    0 where a copy costs as much time as an entry; entries that a size leaves over come in a batch
    of their own.
    """
    if count >= largest:
        return largest
    above = 1 << (count - 1).bit_length()
    return above if (above - count) / above <= padding else above // 2


def _power_of_two(count: int) -> int:
    """The largest one that is at most `count`, which is 1 or more."""
    if count < 1:
        raise ValueError(f"a batch has at least one entry, not {count}")
    return 1 << (count.bit_length() - 1)
