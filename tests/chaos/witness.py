"""What the phones were told. Nothing of it may turn out to be untrue at the end."""

import time
from collections import defaultdict
from typing import Any

import msgspec
from msgspec import Struct

FINAL = frozenset({"done", "failed", "canceled"})
ORDER = ("created", "uploaded", "queued", "running")


class Seen(Struct):
    """One job as its owner last saw it; `items` are its items' statuses in order."""

    job_id: str
    user_id: str
    status: str = "created"
    items: tuple[str, ...] = ()
    refunded: int = 0
    digests: dict[int, str] = msgspec.field(default_factory=dict[int, str])

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class Witness:
    """Collects from all phones. `contradictions` are lines for the report: there should be none."""

    def __init__(self, jobs: int) -> None:
        self.jobs: dict[str, Seen] = {}
        self.keys: defaultdict[str, set[str]] = defaultdict(set)
        self.asked: set[str] = set()
        self.contradictions: list[str] = []
        self.errors: list[tuple[float, str]] = []
        self.last_execute = 0.0
        self._steps = 0
        self._all_steps = 3 * jobs

    @property
    def progress(self) -> float:
        """0..1: how much of the campaign's work is behind it."""
        return self._steps / self._all_steps

    def step(self) -> None:
        self._steps += 1

    def skip(self, steps: int) -> None:
        """A job that takes a shorter way."""
        self._steps += steps

    def acknowledged(self, key: str, job_id: str, user_id: str) -> Seen:
        self.keys[key].add(job_id)
        if job_id in self.jobs and self.jobs[job_id].user_id != user_id:
            self.contradictions.append(f"{job_id} was given to two people")
        return self.jobs.setdefault(job_id, Seen(job_id, user_id))

    def executed(self) -> None:
        self.last_execute = time.monotonic()
        self.step()

    def failed(self, call: str, status: int) -> None:
        """A 5xx."""
        self.errors.append((time.monotonic(), f"{call}: {status}"))

    def saw(self, job: dict[str, Any]) -> Seen:
        """Compare with what was seen before: states only go forward, and ended items stay."""
        seen = self.jobs[job["job_id"]]
        status, items = job["status"], tuple(item["status"] for item in job["items"])
        if seen.is_final and (seen.status, seen.items) != (status, items):
            self._contradict(seen, f"was {seen.status}, is {status}")
        if _rank(status) < _rank(seen.status):
            self._contradict(seen, f"went back from {seen.status} to {status}")
        for idx, (before, after) in enumerate(zip(seen.items, items, strict=False)):
            if before not in ("pending", after):
                self._contradict(seen, f"item {idx} was {before}, is {after}")
        seen.status, seen.items, seen.refunded = status, items, job["refunded"]
        return seen

    def saw_result(self, seen: Seen, idx: int, digest: str) -> None:
        known = seen.digests.setdefault(idx, digest)
        if known != digest:
            self._contradict(seen, f"item {idx} has another result than before")

    def _contradict(self, seen: Seen, what: str) -> None:
        self.contradictions.append(f"{seen.job_id} {what}")


def _rank(status: str) -> int:
    return len(ORDER) if status in FINAL else ORDER.index(status)
