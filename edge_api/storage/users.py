"""Rows of users: their balance, their open jobs and their rule slots."""

from msgspec import Struct
from sqlalchemy import Connection, Integer, bindparam, insert, select, update

from edge_api.domain.plans import LIMITS, Limits, Plan
from edge_api.storage.tables import users


class User(Struct, frozen=True):
    id: str
    plan: Plan
    credits: int
    open_jobs: int
    rules: int

    @property
    def limits(self) -> Limits:
        return LIMITS[self.plan]


_COLUMNS = (users.c.id, users.c.plan, users.c.credits, users.c.open_jobs, users.c.rules)


_BY_ID = select(*_COLUMNS).where(users.c.id == bindparam("user_id"))
_FIND = {False: _BY_ID, True: _BY_ID.with_for_update()}


def insert_user(
    connection: Connection, user_id: str, plan: Plan, device_hash: str | None, now: float
) -> None:
    """Add a user with an empty balance. Raises IntegrityError where the device is known."""
    connection.execute(
        insert(users).values(
            id=user_id,
            device_hash=device_hash,
            plan=plan,
            credits=0,
            open_jobs=0,
            rules=0,
            created_at=now,
        )
    )


class Profile(Struct, frozen=True):
    """A user's row, but for what stands for his device: whoever has that has the account."""

    user_id: str
    plan: Plan
    credits: int
    open_jobs: int
    rules: int
    created_at: float
    has_device: bool


def find_profile(connection: Connection, user_id: str) -> Profile | None:
    row = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        return None
    return Profile(
        row.id,
        Plan(row.plan),
        row.credits,
        row.open_jobs,
        row.rules,
        row.created_at,
        row.device_hash is not None,
    )


_TAKE_SLOT = (
    update(users)
    .where(users.c.id == bindparam("of"), users.c.open_jobs < bindparam("limit", type_=Integer))
    .values(open_jobs=users.c.open_jobs + 1)
)


def find_user(connection: Connection, user_id: str, *, lock: bool = False) -> User | None:
    """`lock` keeps others from changing the row until the transaction ends."""
    row = connection.execute(_FIND[lock], {"user_id": user_id}).one_or_none()
    return None if row is None else User(row.id, Plan(row.plan), *row[2:])


def set_plan(connection: Connection, user_id: str, plan: Plan) -> bool:
    changed = connection.execute(update(users).where(users.c.id == user_id).values(plan=plan))
    return changed.rowcount == 1


def find_user_by_device(connection: Connection, device_hash: str) -> User | None:
    query = select(*_COLUMNS).where(users.c.device_hash == device_hash)
    row = connection.execute(query).one_or_none()
    return None if row is None else User(row.id, Plan(row.plan), *row[2:])


def take_job_slot(connection: Connection, user_id: str, limit: int) -> bool:
    """Count one more open job, unless `limit` are open."""
    return connection.execute(_TAKE_SLOT, {"of": user_id, "limit": limit}).rowcount == 1


def release_job_slot(connection: Connection, user_id: str) -> None:
    connection.execute(
        update(users).where(users.c.id == user_id).values(open_jobs=users.c.open_jobs - 1)
    )


def take_rule_slot(connection: Connection, user_id: str, limit: int) -> bool:
    """Count one more rule, unless `limit` exist."""
    taken = connection.execute(
        update(users)
        .where(users.c.id == user_id, users.c.rules < limit)
        .values(rules=users.c.rules + 1)
    )
    return taken.rowcount == 1


def release_rule_slot(connection: Connection, user_id: str) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(rules=users.c.rules - 1))
