"""Items that no attempt could finish: refunded, and kept for an operator to look at."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from edge_api.domain.ids import new_id
from edge_api.storage.tables import dead_letters


class DeadLetterState(StrEnum):
    OPEN = "open"  # nobody has looked at it
    REPLAYED = "replayed"  # its items were sent again as a new job
    DROPPED = "dropped"  # an operator let it go


class DeadLetter(Struct, frozen=True):
    """`indices` are the items of the job that it is about; `code` is the error they ended with."""

    id: str
    job_id: str
    dispatch_id: str
    indices: list[int]
    code: str
    reason: str
    state: DeadLetterState
    replayed_as: str | None
    created_at: float
    resolved_at: float | None


def insert_dead_letter(
    connection: Connection,
    job_id: str,
    dispatch_id: str,
    indices: Sequence[int],
    code: str,
    reason: str,
    now: float,
) -> None:
    connection.execute(
        insert(dead_letters).values(
            id=new_id("letter"),
            job_id=job_id,
            dispatch_id=dispatch_id,
            indices=list(indices),
            code=code,
            reason=reason[:500],
            state=DeadLetterState.OPEN,
            created_at=now,
        )
    )


def list_dead_letters(
    connection: Connection, state: DeadLetterState | None = None, limit: int = 100
) -> list[DeadLetter]:
    """Newest first."""
    query = select(dead_letters).order_by(dead_letters.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(dead_letters.c.state == state)
    rows = connection.execute(query)
    return [msgspec.convert(row, DeadLetter, from_attributes=True) for row in rows]


def dead_letters_of(connection: Connection, job_id: str) -> list[DeadLetter]:
    rows = connection.execute(
        select(dead_letters).where(dead_letters.c.job_id == job_id).order_by(dead_letters.c.id)
    )
    return [msgspec.convert(row, DeadLetter, from_attributes=True) for row in rows]


def find_dead_letter(connection: Connection, letter_id: str) -> DeadLetter | None:
    row = connection.execute(
        select(dead_letters).where(dead_letters.c.id == letter_id)
    ).one_or_none()
    return None if row is None else msgspec.convert(row, DeadLetter, from_attributes=True)


def resolve_dead_letter(
    connection: Connection,
    letter_id: str,
    state: DeadLetterState,
    now: float,
    replayed_as: str | None = None,
) -> bool:
    """False where it was resolved before."""
    resolved = connection.execute(
        update(dead_letters)
        .where(dead_letters.c.id == letter_id, dead_letters.c.state == DeadLetterState.OPEN)
        .values(state=state, resolved_at=now, replayed_as=replayed_as)
    )
    return resolved.rowcount == 1
