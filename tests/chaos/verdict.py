"""Whether all of it held: what the rows, the bucket and the logs say at the end."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from PIL import Image
from sqlalchemy import Connection, select, text

from edge_api.domain.jobs import OPEN
from edge_api.storage.tables import items, jobs
from shared.keys import output_key, preview_key
from shared.objects import ObjectMissing, ObjectStore
from tests.chaos.photos import SIZE
from tests.chaos.witness import FINAL, Witness
from tests.edge_api.books import assert_books_balance

SHOWN = 5
LARGEST_RESULT = 1024 * 1024


class Check(Struct, frozen=True):
    """One line of the table; it holds where nothing is listed."""

    name: str
    violations: list[str] = []
    figure: str = ""


class Rows(Struct, frozen=True):
    """What the database holds of the campaign's own users."""

    jobs: dict[str, dict[str, Any]]
    items: dict[tuple[str, int], str]
    errors: Counter[str]
    dispatches: int
    attempts: int
    books: str
    integrity: str


def read_rows(connection: Connection, users: Sequence[str]) -> Rows:
    """Everything at one moment; other users' rows in the same database are left out."""
    ours = set(users)
    found = {
        row["id"]: dict(row)
        for row in connection.execute(text("SELECT * FROM jobs")).mappings()
        if row["user_id"] in ours
    }
    endings = [
        row
        for row in connection.execute(
            select(items.c.job_id, items.c.idx, items.c.status, items.c.error)
        )
        if row.job_id in found
    ]
    states = {(row.job_id, row.idx): row.status for row in endings}
    errors = Counter(row.error["code"] for row in endings if row.error)
    attempts = [
        row.attempt
        for row in connection.execute(text("SELECT job_id, attempt FROM dispatches"))
        if row.job_id in found
    ]
    again = sum(attempt > 1 for attempt in attempts)
    return Rows(
        found, states, errors, len(attempts), again, _books(connection), _integrity(connection)
    )


def any_open(connection: Connection, users: Sequence[str]) -> bool:
    """Whether any of these users' jobs is not final yet."""
    query = select(jobs.c.id).where(jobs.c.status.in_(OPEN), jobs.c.user_id.in_(users)).limit(1)
    return connection.execute(query).first() is not None


def _books(connection: Connection) -> str:
    try:
        assert_books_balance(connection)
    except AssertionError as error:
        return str(error)
    return ""


def _integrity(connection: Connection) -> str:
    if connection.dialect.name != "sqlite":
        return "ok"
    return str(connection.execute(text("PRAGMA integrity_check")).scalar_one())


def judge_rows(rows: Rows, witness: Witness) -> list[Check]:
    acked = {job_id for ids in witness.keys.values() for job_id in ids}
    several = [f"{key}: {sorted(ids)}" for key, ids in witness.keys.items() if len(ids) > 1]
    stuck = [f"{row['id']} is {row['status']}" for row in rows.jobs.values() if _open(row)]
    stories = [
        line for seen in witness.jobs.values() for line in _compare(seen.job_id, rows, witness)
    ]
    unanswered = len(witness.asked) - len(witness.keys)
    orphans = sorted(set(rows.jobs) - acked)
    return [
        Check("no job stuck", stuck, str(len(rows.jobs))),
        Check("acknowledged jobs exist", sorted(acked - set(rows.jobs)), str(len(acked))),
        Check("one job for each key", several, str(len(witness.keys))),
        Check("no job that nobody knows", orphans if len(orphans) > unanswered else []),
        Check("ledger, balance, counters and items agree", [rows.books] if rows.books else []),
        Check("final states as they were seen", stories, str(len(witness.jobs))),
        Check("states only go forward", witness.contradictions),
        Check("integrity_check", [] if rows.integrity == "ok" else [rows.integrity]),
    ]


def _open(row: dict[str, Any]) -> bool:
    return row["status"] not in FINAL


def _compare(job_id: str, rows: Rows, witness: Witness) -> list[str]:
    seen, row = witness.jobs[job_id], rows.jobs.get(job_id)
    if row is None or not seen.is_final:
        return []
    items = tuple(rows.items[job_id, idx] for idx in range(len(seen.items)))
    told, found = (seen.status, seen.items, seen.refunded), (row["status"], items, row["refunded"])
    return [] if told == found else [f"{job_id} was seen as {told}, is {found}"]


def judge_objects(rows: Rows, store: ObjectStore) -> Check:
    """Every paid item has its result and its preview in the bucket."""
    present = {one.key for top in ("outputs/", "previews/") for one in store.list(top) if one.size}
    paid = [key for key, status in rows.items.items() if status == "done"]
    wanted = {
        key
        for job_id, idx in paid
        for key in (
            output_key(rows.jobs[job_id]["user_id"], job_id, idx),
            preview_key(rows.jobs[job_id]["user_id"], job_id, idx),
        )
    }
    return Check("paid items have result and preview", sorted(wanted - present), str(len(paid)))


def judge_results(rows: Rows, witness: Witness, store: ObjectStore) -> Check:
    """The results that phones downloaded when their jobs had ended are pictures, and still there
    byte for byte: nobody worked on them again."""
    wrong: list[str] = []
    looked_at = 0
    for seen in witness.jobs.values():
        for idx, digest in seen.digests.items():
            looked_at += 1
            if rows.items[seen.job_id, idx] == "done":
                key = output_key(seen.user_id, seen.job_id, idx)
                wrong += [f"{key} {what}" for what in _faults_of(store, key, digest)]
    return Check("results as they were downloaded", wrong, str(looked_at))


def _faults_of(store: ObjectStore, key: str, digest: str) -> Iterator[str]:
    try:
        content = store.get(key, max_bytes=LARGEST_RESULT)
    except ObjectMissing:
        yield "is missing"
        return
    if hashlib.sha256(content).hexdigest() != digest:
        yield "has changed"
    with Image.open(io.BytesIO(content)) as picture:
        if picture.size != SIZE:
            yield f"is {picture.size}"
