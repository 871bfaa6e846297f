"""Runpod endpoints: circuit breakers, shared by every process that submits, and signs of life."""

from msgspec import Struct
from sqlalchemy import Connection, case, delete, func, select, update

from edge_api.domain.jobs import ItemStatus
from edge_api.storage.tables import dispatches, endpoints, items
from edge_api.storage.upsert import upsert


class Breaker(Struct, frozen=True):
    """`failures` in a row; nothing is submitted before `open_until`."""

    failures: int = 0
    open_until: float = 0.0
    last_error: str | None = None


def find_breaker(connection: Connection, endpoint_id: str) -> Breaker:
    row = connection.execute(
        select(endpoints.c.failures, endpoints.c.open_until, endpoints.c.last_error).where(
            endpoints.c.id == endpoint_id
        )
    ).one_or_none()
    return Breaker() if row is None else Breaker(*row)


def count_failure(connection: Connection, endpoint_id: str, error: str, least: int = 1) -> int:
    """Failures in a row, this one included, and at least `least`."""
    values = {"id": endpoint_id, "failures": least, "open_until": 0.0, "last_error": error[:500]}
    more = endpoints.c.failures + 1
    counted = (
        upsert(connection.dialect.name, endpoints)
        .values(values)
        .on_conflict_do_update(
            index_elements=["id"],
            set_={"failures": case((more > least, more), else_=least), "last_error": error[:500]},
        )
        .returning(endpoints.c.failures)
    )
    return connection.execute(counted).scalar_one()


def open_breaker(connection: Connection, endpoint_id: str, until: float) -> None:
    connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.open_until < until)
        .values(open_until=until)
    )


def close_breaker(connection: Connection, endpoint_id: str) -> None:
    connection.execute(delete(endpoints).where(endpoints.c.id == endpoint_id))


class Signs(Struct, frozen=True):
    """When an endpoint last took an attempt, began one, and had a photo done; in Unix seconds."""

    taken_at: float | None
    begun_at: float | None
    done_at: float | None


def last_signs(connection: Connection, endpoint_id: str) -> Signs:
    """Of what is still there: an erased account took its rows along. Reads whole tables."""
    own = dispatches.c.endpoint_id == endpoint_id
    attempts = select(func.max(dispatches.c.submitted_at), func.max(dispatches.c.begun_at))
    done = (
        select(func.max(items.c.ended_at))
        .join(
            dispatches,
            (dispatches.c.job_id == items.c.job_id) & (dispatches.c.attempt == items.c.attempt),
        )
        .where(own, items.c.status == ItemStatus.DONE)
    )
    taken_at, begun_at = connection.execute(attempts.where(own)).one()
    return Signs(taken_at, begun_at, connection.execute(done).scalar_one())
