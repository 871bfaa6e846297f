"""The ledger and the balance it explains; the two only ever change together."""

from enum import StrEnum

from sqlalchemy import Connection, func, insert, select, update

from edge_api.storage.tables import billing_events, users


class Kind(StrEnum):
    GRANT = "grant"  # credits of the plan, at the start
    RESERVE = "reserve"  # taken by a new job
    REFUND = "refund"  # given back by a failed or canceled job
    ADJUST = "adjust"  # by an operator


def move_credits(
    connection: Connection, user_id: str, kind: Kind, amount: int, now: float, job_id: str | None
) -> bool:
    """Add `amount` (negative to take) to the balance and write the row that explains it.

    False, and nothing changed, where the balance would fall below zero or the user is unknown.
    """
    moved = connection.execute(
        update(users)
        .where(users.c.id == user_id, users.c.credits + amount >= 0)
        .values(credits=users.c.credits + amount)
    )
    if moved.rowcount != 1:
        return False
    connection.execute(
        insert(billing_events).values(
            user_id=user_id, job_id=job_id, kind=kind, amount=amount, created_at=now
        )
    )
    return True


def ledger_sum(connection: Connection, user_id: str) -> int:
    """The sum of a user's rows: equal to the balance, always."""
    total = connection.execute(
        select(func.coalesce(func.sum(billing_events.c.amount), 0)).where(
            billing_events.c.user_id == user_id
        )
    )
    return total.scalar_one()
