"""The ledger and the balance it explains; the two only ever change together."""

from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection, Integer, bindparam, func, insert, select, update

from edge_api.storage.tables import billing_events, users


class Kind(StrEnum):
    GRANT = "grant"  # credits of the plan, at the start
    RESERVE = "reserve"  # taken by a new job
    REFUND = "refund"  # given back by a failed or canceled job
    ADJUST = "adjust"  # by an operator


# Built once: putting a statement together costs more than SQLite takes to carry it out.
_AFTER = users.c.credits + bindparam("by", type_=Integer)
_MOVE = update(users).where(users.c.id == bindparam("of"), _AFTER >= 0).values(credits=_AFTER)
_EXPLAIN = insert(billing_events)


def move_credits(
    connection: Connection, user_id: str, kind: Kind, amount: int, now: float, job_id: str | None
) -> bool:
    """Add `amount` (negative to take) to the balance and write the row that explains it.

    False, and nothing changed, where the balance would fall below zero or the user is unknown.
    """
    moved = connection.execute(_MOVE, {"of": user_id, "by": amount})
    if moved.rowcount != 1:
        return False
    event = {
        "user_id": user_id, "job_id": job_id, "kind": kind, "amount": amount, "created_at": now,
    }  # fmt: skip
    connection.execute(_EXPLAIN, event)
    return True


class Movement(Struct, frozen=True):
    """One row of the ledger."""

    kind: Kind
    amount: int
    job_id: str | None
    created_at: float


def list_movements(connection: Connection, user_id: str) -> list[Movement]:
    """A user's movements, oldest first."""
    rows = connection.execute(
        select(
            billing_events.c.kind,
            billing_events.c.amount,
            billing_events.c.job_id,
            billing_events.c.created_at,
        )
        .where(billing_events.c.user_id == user_id)
        .order_by(billing_events.c.id)
    )
    return [Movement(Kind(row.kind), *row[1:]) for row in rows]


def drifting_users(connection: Connection) -> list[tuple[str, int, int]]:
    """(user, balance, sum of the rows) of everyone for whom the two differ: nobody, always."""
    total = func.coalesce(func.sum(billing_events.c.amount), 0)
    rows = connection.execute(
        select(users.c.id, users.c.credits, total)
        .outerjoin(billing_events, billing_events.c.user_id == users.c.id)
        .group_by(users.c.id, users.c.credits)
        .having(users.c.credits != total)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def ledger_sum(connection: Connection, user_id: str) -> int:
    """The sum of a user's rows: equal to the balance, always."""
    total = connection.execute(
        select(func.coalesce(func.sum(billing_events.c.amount), 0)).where(
            billing_events.c.user_id == user_id
        )
    )
    return total.scalar_one()
