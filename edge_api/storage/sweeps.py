"""What waits to be deleted for good: objects of erased accounts, and what retention gave up."""

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection, func, select

from edge_api.storage.jobs import Purge
from edge_api.storage.tables import erasures, jobs

ACCOUNTS = "accounts"


class Pending(Struct, frozen=True):
    """How many wait, and when the oldest is due (Unix seconds); None where none waits."""

    count: int
    due: float | None


def read_sweeps(
    connection: Connection, kept: Mapping[Purge, float], now: float
) -> dict[str, Pending]:
    """By what is deleted: erased accounts, due when no worker can store anything any more, and
    jobs whose inputs or results were `kept` for so many seconds, which are due already."""
    row = connection.execute(select(func.count(), func.min(erasures.c.until))).one()
    found = {ACCOUNTS: Pending(*row)}
    for what, seconds in kept.items():
        found[what.value] = _purgeable(connection, what, seconds, now)
    return found


def _purgeable(connection: Connection, what: Purge, kept: float, now: float) -> Pending:
    left = jobs.c[f"{what.value}_purged_at"].is_(None)
    row = connection.execute(
        select(func.count(), func.min(jobs.c.ended_at) + kept).where(
            jobs.c.ended_at < now - kept, left
        )
    ).one()
    return Pending(*row)
