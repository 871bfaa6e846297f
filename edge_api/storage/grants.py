"""What is given away: a budget of free credits for each day, and one grant for each device."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from edge_api.storage.tables import credit_budgets, granted_devices
from edge_api.storage.upsert import upsert


def spend_budget(connection: Connection, day: str, credits: int, most: int) -> bool:
    """Take credits from the day's budget; False, and nothing changed, where it is spent."""
    if credits > most:
        return False
    total = credit_budgets.c.granted + credits
    spent = (
        upsert(connection.dialect.name, credit_budgets)
        .values(day=day, granted=credits)
        .on_conflict_do_update(index_elements=["day"], set_={"granted": total}, where=total <= most)
        .returning(credit_budgets.c.granted)
    )
    return connection.execute(spent).one_or_none() is not None


def note_device(connection: Connection, digests: Sequence[str], now: float) -> bool:
    """Note a device under all its digests; True where it was known under none, and so never had
    free credits."""
    noted = (
        upsert(connection.dialect.name, granted_devices)
        .values([{"digest": digest, "granted_at": now} for digest in digests])
        .on_conflict_do_nothing(index_elements=["digest"])
        .returning(granted_devices.c.digest)
    )
    return len(connection.execute(noted).all()) == len(digests)


def granted_today(connection: Connection, day: str) -> int:
    found = connection.execute(
        select(credit_budgets.c.granted).where(credit_budgets.c.day == day)
    ).scalar_one_or_none()
    return found or 0
