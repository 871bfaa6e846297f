"""Rates that hold across processes: the generic cell rate algorithm, one row for each key.

The row holds the theoretical arrival time of the next call (ITU-T I.371): a call is let through
where that lies at most a burst ahead of now. One conditional statement, so nothing is let through
twice.
"""

from msgspec import Struct
from sqlalchemy import Connection, Float, bindparam, case, delete, select
from sqlalchemy.sql.dml import ReturningInsert

from edge_api.storage.tables import rate_limits
from edge_api.storage.upsert import upsert


class Rate(Struct, frozen=True):
    """`calls` in `seconds`, all at once if need be."""

    calls: int
    seconds: float

    @property
    def interval(self) -> float:
        return self.seconds / self.calls


class Taken(Struct, frozen=True):
    """`wait` in seconds until the call would be let through; 0.0 where it was."""

    allowed: bool
    remaining: int
    wait: float


def take_calls(connection: Connection, key: str, rate: Rate, now: float, count: int = 1) -> Taken:
    """Let `count` calls through, or none of them."""
    cost, horizon = count * rate.interval, now + rate.seconds
    asked = {"of": key, "first": now + cost, "now": now, "cost": cost, "horizon": horizon}
    after = connection.execute(_TAKE[connection.dialect.name], asked).scalar_one_or_none()
    if after is not None:
        return Taken(True, int((horizon - after) / rate.interval + 1e-6), 0.0)
    stored = connection.execute(_STORED, {"of": key}).scalar_one()
    return Taken(False, 0, max(0.0, stored + cost - horizon))


def _take(dialect: str) -> ReturningInsert[float]:
    arrival, now = rate_limits.c.arrival, bindparam("now", type_=Float)
    after = case((arrival > now, arrival), else_=now) + bindparam("cost", type_=Float)
    return (
        upsert(dialect, rate_limits)
        .values(key=bindparam("of"), arrival=bindparam("first"))
        .on_conflict_do_update(
            index_elements=["key"],
            set_={"arrival": after},
            where=after <= bindparam("horizon", type_=Float),
        )
        .returning(arrival)
    )


# Built once: every new caller's first call needs it.
_TAKE = {dialect: _take(dialect) for dialect in ("sqlite", "postgresql")}
_STORED = select(rate_limits.c.arrival).where(rate_limits.c.key == bindparam("of"))


def forget_rates(connection: Connection, now: float) -> int:
    """Delete rows that hold nobody back any more; how many there were."""
    return connection.execute(delete(rate_limits).where(rate_limits.c.arrival < now)).rowcount
