"""Where the runs got to: a model that never sees a dead letter proves nothing about them."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from tests.edge_api.model.history import Moment


class Met(StrEnum):
    """What is worth meeting."""

    DONE = "a job done"
    FAILED = "a job failed"
    CANCELED = "a job canceled"
    EXPIRED = "a job expired"
    REFUND = "a refund"
    PART_REFUND = "a refund of a part"
    THIRD_ATTEMPT = "a third attempt"
    UNCERTAIN = "an uncertain submit"
    DEAD_LETTER = "a dead letter"
    REPEATED = "a callback that changed nothing"
    SUPERSEDED = "a superseded callback"
    FORGED = "a forged callback"
    REPLAYED = "an idempotent replay"
    KEY_LOST = "a key taken over meanwhile"
    LIMITED = "a sign-up beyond the limits"
    ERASED = "an erased account"


LEAST = 0.02
"""The share of runs that must meet each. Most are met ten times as often: see `shares`."""

_ENDS: dict[object, Met] = {"done": Met.DONE, "failed": Met.FAILED, "canceled": Met.CANCELED}


def met_in(moment: Moment) -> Iterable[Met]:
    """What the rows themselves tell."""
    if moment["dead_letters"]:
        yield Met.DEAD_LETTER
    for row in moment["dispatches"]:
        if row[3] == "uncertain":
            yield Met.UNCERTAIN
        if row[2] == 3:
            yield Met.THIRD_ATTEMPT
    for _, _, status, _, _, done, _, refunded, _ in moment["jobs"]:
        if status in _ENDS:
            yield _ENDS[status]
        if refunded:
            yield Met.PART_REFUND if done else Met.REFUND


def shares(runs: Iterable[set[Met]]) -> dict[Met, float]:
    """In which share of the runs each was met."""
    whole = list(runs)
    counted = Counter(met for run in whole for met in run)
    return {met: counted[met] / len(whole) for met in Met}
