"""What the database itself refuses, whatever the code asks for."""

from collections.abc import Generator, Mapping

import pytest
from sqlalchemy import CheckConstraint, Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from edge_api.storage.tables import metadata

USER = {
    "id": "user_x", "device_hash": None, "plan": "free", "credits": 0, "open_jobs": 0,
    "rules": 0, "created_at": 1.0,
}  # fmt: skip
JOB = {
    "id": "job_x", "user_id": "user_x", "preset": "interior", "status": "created",
    "total_items": 3, "done_items": 0, "failed_items": 0, "refunded": 0, "created_at": 1.0,
}  # fmt: skip
ITEM = {"job_id": "job_x", "idx": 0, "status": "pending"}
DISPATCH = {
    "id": "dispatch_x", "job_id": "job_x", "attempt": 1, "state": "new", "tries": 0,
    "next_at": 1.0, "created_at": 1.0,
}  # fmt: skip
EVENT = {
    "user_id": "user_x", "job_id": "job_x", "kind": "reserve", "amount": -3, "created_at": 1.0,
}  # fmt: skip
RULE = {
    "id": "rule_x", "user_id": "user_x", "name": "r", "preset_id": "interior",
    "concepts": "{}", "protect": "[]", "created_at": 1.0, "updated_at": 1.0,
}  # fmt: skip
LETTER = {
    "id": "letter_x", "job_id": "job_x", "dispatch_id": "dispatch_x", "indices": "[]",
    "code": "WORKER_LOST", "reason": "r", "state": "open", "created_at": 1.0,
}  # fmt: skip
KEY = {
    "user_id": "user_x", "key": "k", "fingerprint": "f", "locked_until": 1.0, "created_at": 1.0,
}  # fmt: skip
QUEUED = {
    "id": "queued_x", "dispatch_id": "dispatch_x", "user_id": "user_x", "state": "IN_PROGRESS",
    "payload": "{}", "execution_seconds": 1.0, "expires_at": 2.0, "worker": "pod-1",
    "lease": "l", "lease_until": 2.0, "deadline": 2.0, "created_at": 1.0, "began_at": 1.0,
}  # fmt: skip
ROWS: dict[str, Mapping[str, object]] = {
    "users": USER,
    "jobs": JOB,
    "items": ITEM,
    "dispatches": DISPATCH,
    "billing_events": EVENT,
    "rules": RULE,
    "endpoints": {"id": "endpoint1", "failures": 1, "open_until": 0.0},
    "dead_letters": LETTER,
    "idempotency_keys": KEY,
    "credit_budgets": {"day": "2026-11-21", "granted": 10},
    "queued_jobs": QUEUED,
}


def insert(connection: Connection, table: str, row: Mapping[str, object]) -> None:
    columns = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), dict(row))


@pytest.fixture
def filled(engine: Engine) -> Generator[Connection]:
    """One row in each table, rolled back with whatever a test does."""
    with engine.connect() as connection:
        for table, row in ROWS.items():
            insert(connection, table, row)
        yield connection
        connection.rollback()


VIOLATIONS = [
    ("users", "credits_not_negative", {"credits": -1}),
    ("users", "open_jobs_not_negative", {"open_jobs": -1}),
    ("users", "rules_not_negative", {"rules": -1}),
    ("users", "plan_known", {"plan": "gold"}),
    ("jobs", "status_known", {"status": "paused"}),
    ("jobs", "total_positive", {"total_items": 0}),
    ("jobs", "items_add_up", {"done_items": -1}),
    ("jobs", "items_add_up", {"failed_items": -1}),
    ("jobs", "items_add_up", {"done_items": 2, "failed_items": 2}),
    ("jobs", "refund_bounded", {"refunded": 4}),
    ("jobs", "refund_bounded", {"refunded": -1}),
    ("items", "status_known", {"status": "running"}),
    ("dispatches", "state_known", {"state": "lost"}),
    ("dispatches", "attempt_positive", {"attempt": 0}),
    ("dispatches", "counts_not_negative", {"tries": -1}),
    ("dispatches", "counts_not_negative", {"strikes": -1}),
    ("endpoints", "failures_not_negative", {"failures": -1}),
    ("dead_letters", "state_known", {"state": "lost"}),
    ("credit_budgets", "granted_not_negative", {"granted": -1}),
    ("queued_jobs", "state_known", {"state": "RUNNING", "ended_at": 2.0}),
    ("queued_jobs", "execution_positive", {"execution_seconds": 0.0}),
    ("queued_jobs", "progress_is_leased", {"lease": None}),
    ("queued_jobs", "progress_is_leased", {"lease_until": None}),
    ("queued_jobs", "ends_once", {"ended_at": 2.0}),
    ("queued_jobs", "ends_once", {"state": "COMPLETED"}),
    ("billing_events", "kind_known", {"kind": "gift"}),
    ("billing_events", "amount_moves_something", {"amount": 0}),
]


@pytest.mark.parametrize(("table", "name", "change"), VIOLATIONS)
def test_a_row_that_cannot_be_is_refused(
    filled: Connection, table: str, name: str, change: dict[str, object]
) -> None:
    sets = ", ".join(f"{column} = :{column}" for column in change)
    with pytest.raises(IntegrityError, match=f"ck_{table}_{name}"):
        filled.execute(text(f"UPDATE {table} SET {sets}"), change)


def test_every_check_is_tried() -> None:
    known = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert known == {f"ck_{table}_{name}" for table, name, _ in VIOLATIONS}


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("users", {}),
        ("users", {"id": "user_y", "device_hash": "known"}),
        ("jobs", {}),
        ("items", {}),
        ("dispatches", {"id": "dispatch_y"}),
        ("billing_events", {"amount": -1}),
        ("billing_events", {"kind": "refund"}),
        ("rules", {}),
        ("idempotency_keys", {}),
        ("endpoints", {}),
        ("queued_jobs", {}),
        ("queued_jobs", {"id": "queued_y"}),
    ],
)
def test_what_there_is_once_is_not_there_twice(
    filled: Connection, table: str, change: dict[str, object]
) -> None:
    filled.execute(text("UPDATE users SET device_hash = 'known'"))
    row = dict(ROWS[table]) | change
    if row.get("kind") == "refund":
        insert(filled, table, row)
    with pytest.raises(IntegrityError, match=r"UNIQUE|duplicate key"):
        insert(filled, table, row)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("jobs", {"id": "job_y", "user_id": "user_nope"}),
        ("rules", {"id": "rule_y", "user_id": "user_nope"}),
        ("items", {"job_id": "job_nope"}),
        ("dispatches", {"id": "dispatch_y", "job_id": "job_nope"}),
        ("billing_events", {"user_id": "user_nope", "kind": "grant", "job_id": None}),
        ("billing_events", {"job_id": "job_nope"}),
        ("queued_jobs", {"id": "queued_y", "dispatch_id": "d", "user_id": "user_nope"}),
    ],
)
def test_nothing_belongs_to_what_is_not_there(
    filled: Connection, table: str, change: dict[str, object]
) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        insert(filled, table, dict(ROWS[table]) | change)
