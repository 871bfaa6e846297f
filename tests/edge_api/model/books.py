"""The books of one moment, told from its rows alone; the SQL of tests/edge_api/books.py sees the
same at the end of each run, by another road."""

from collections import Counter

from edge_api.domain.plans import LIMITS, Plan
from tests.edge_api.model.history import Moment

_OPEN = {"created", "uploaded", "queued", "running"}
_LIVE = {"new", "submitting", "uncertain", "submitted"}


def check(moment: Moment) -> None:
    """Money, counters, items and attempts tell one story."""
    balances: Counter[object] = Counter()
    paid: Counter[object] = Counter()
    for _, user, job, _, amount in moment["billing_events"]:
        assert isinstance(amount, int)
        balances[user] += amount
        paid[job] += amount
    opened = Counter(row[1] for row in moment["jobs"] if row[2] in _OPEN)
    saved = Counter(row[1] for row in moment["rules"])
    for user, _, plan, credits, open_jobs, rules in moment["users"]:
        assert isinstance(credits, int)
        limits = LIMITS[Plan(str(plan))]
        assert credits == balances[user] >= 0, f"{user} has {credits}"
        assert open_jobs == opened[user] <= limits.concurrent_jobs, user
        assert rules == saved[user] <= limits.rule_slots, user
    _check_jobs(moment, paid)


def _check_jobs(moment: Moment, paid: Counter[object]) -> None:
    ended = Counter((row[0], row[2]) for row in moment["items"])
    live = Counter(row[1] for row in moment["dispatches"] if row[3] in _LIVE)
    for row in moment["jobs"]:
        job, _, status, total, _, done, failed, refunded, _ = row
        assert isinstance(total, int)
        assert isinstance(done, int)
        assert isinstance(failed, int)
        assert (done, failed) == (ended[job, "done"], ended[job, "failed"]), row
        assert live[job] == (status in {"queued", "running"}), row
        back = 0 if status in _OPEN else total - done
        assert (refunded, paid[job]) == (back, back - total), row
        match status:
            case "done":
                assert (done > 0, failed) == (True, total - done), row
            case "failed":
                assert failed == total, row
            case "canceled":
                assert done < total, row
            case _:
                assert done + failed <= total, row
