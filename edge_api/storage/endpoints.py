"""Circuit breakers of Runpod endpoints, shared by every process that submits."""

from msgspec import Struct
from sqlalchemy import Connection, case, delete, select, update

from edge_api.storage.tables import endpoints
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
