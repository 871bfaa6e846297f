"""What has happened stays as it is: everything that is kept of one moment, and what may follow."""

from collections import defaultdict

import msgspec
from sqlalchemy import Connection, TextClause, text

from edge_api.domain.jobs import OPEN, TRANSITIONS, JobStatus
from tests.edge_api.model.ground import Ground

Row = tuple[str | int | float | None, ...]

_COLUMNS = {
    "users": "id, device_hash, plan, credits, open_jobs, rules",
    "jobs": "id, user_id, status, total_items, execute_hash, done_items, failed_items, refunded,"
    " ended_at",
    "items": "job_id, idx, status, attempt, ended_at, CAST(error AS TEXT)",
    "dispatches": "id, job_id, attempt, state, strikes, tries, runpod_job_id",
    "dead_letters": "id, job_id, CAST(indices AS TEXT), code",
    "billing_events": "id, user_id, job_id, kind, amount",
    "idempotency_keys": "user_id, key, fingerprint, locked_until, result",
    "credit_budgets": "day, granted",
    "rules": "id, user_id",
}
_ENDED = {"items": " WHERE status <> 'pending'"}

Moment = dict[str, set[Row]]


def _query(array: str) -> TextClause:
    """All tables in one query: each row says whose it is and comes as JSON."""
    return text(
        " UNION ALL ".join(
            f"SELECT '{table}', CAST({array}({columns}) AS TEXT) FROM {table}"
            f"{_ENDED.get(table, '')}"
            for table, columns in _COLUMNS.items()
        )
    )


_ON_SQLITE, _ON_POSTGRES = _query("json_array"), _query("json_build_array")


def look(ground: Ground) -> Moment:
    """What there is now."""
    moment: Moment = {table: set() for table in _COLUMNS}
    found = ground.read(_fetch, _ON_POSTGRES if ground.postgres else _ON_SQLITE)
    for table, row in found:
        moment[table].add(msgspec.json.decode(row, type=Row))
    return moment


def _fetch(connection: Connection, query: TextClause) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(query)]


class History:
    """Compares each moment with the one before."""

    def __init__(self) -> None:
        self.now: Moment = {table: set() for table in _COLUMNS}

    def forget(self, user_id: str) -> None:
        """An account was erased, and this once rows may go."""
        jobs = {row[0] for row in self.now["jobs"] if row[1] == user_id}
        for table, rows in self.now.items():
            self.now[table] = {row for row in rows if user_id not in row and row[0] not in jobs}
        for table in ("dispatches", "dead_letters"):
            self.now[table] = {row for row in self.now[table] if row[1] not in jobs}

    def follow(self, moment: Moment) -> None:
        """Raises AssertionError where that cannot have come after the last moment."""
        before, self.now = self.now, moment
        for table in ("items", "dead_letters", "billing_events"):
            assert before[table] <= moment[table], f"{table} that were there have changed"
        assert _names(before["users"]) <= _names(moment["users"])
        _check_jobs(before["jobs"], moment["jobs"])
        _check_attempts(before["dispatches"], moment["dispatches"])


def _names(users: set[Row]) -> set[Row]:
    return {row[:3] for row in users}


def _check_jobs(before: set[Row], after: set[Row]) -> None:
    found = {row[0]: row for row in after}
    for old in before - after:
        new = found[old[0]]
        was, became = JobStatus(str(old[2])), JobStatus(str(new[2]))
        assert reachable(was, became), f"{old} became {new}"
        assert (old[1], old[3]) == (new[1], new[3])
        assert old[4] in {None, new[4]}, "a job runs with what it was queued with"


def reachable(before: JobStatus, after: JobStatus) -> bool:
    """Whether some transactions may lead from one state to another or the same."""
    if before == after:
        return before in OPEN
    return any(target == after or reachable(target, after) for target in TRANSITIONS[before])


_BEFORE_SUBMIT = {"new", "submitting", "uncertain"}


def _check_attempts(before: set[Row], after: set[Row]) -> None:
    states = {row[0]: row[3] for row in after}
    for old in before - after:
        was, became = old[3], states[old[0]]
        if was in {"superseded", "ended"}:
            assert became == was, f"{old} became {became}"
        if was == "canceling":
            assert became in {was, "ended"}, f"{old} became {became}"
        if was == "submitted":
            assert became not in _BEFORE_SUBMIT, f"{old} became {became}"
    of_jobs: defaultdict[object, list[tuple[int, str]]] = defaultdict(list)
    for row in after:
        assert isinstance(row[2], int)
        of_jobs[row[1]].append((row[2], str(row[3])))
    for attempts in of_jobs.values():
        _check_line(sorted(attempts))


def _check_line(attempts: list[tuple[int, str]]) -> None:
    """A job's attempts are numbered without gaps, and only the newest is anybody's work."""
    assert [number for number, _ in attempts] == list(range(1, len(attempts) + 1)), attempts
    assert all(state == "superseded" for _, state in attempts[:-1]), attempts
    assert attempts[-1][1] != "superseded", attempts
