"""Keys of requests that carry an Idempotency-Key, and what each led to.

The key is taken in a transaction of its own, so that a second request with it sees that the first
is under way; what the first led to is written in the transaction that has the effect.
"""

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, select, update

from edge_api.storage.tables import idempotency_keys
from edge_api.storage.upsert import upsert


class StoredKey(Struct, frozen=True):
    """`result` is the id of what the request made or changed; None while it is under way."""

    fingerprint: str
    result: str | None
    locked_until: float


def find_key(connection: Connection, user_id: str, key: str) -> StoredKey | None:
    row = connection.execute(
        select(
            idempotency_keys.c.fingerprint,
            idempotency_keys.c.result,
            idempotency_keys.c.locked_until,
        ).where(*_is(user_id, key))
    ).one_or_none()
    return None if row is None else StoredKey(*row)


def take_key(
    connection: Connection,
    user_id: str,
    key: str,
    fingerprint: str,
    now: float,
    locked_until: float,
) -> bool:
    """Lock the key for one request; False where another has it, or it has led to something.

    One whose request never came to an end is taken over when its lock has run out.
    """
    values = {
        "user_id": user_id,
        "key": key,
        "fingerprint": fingerprint,
        "locked_until": locked_until,
        "created_at": now,
    }
    taken = (
        upsert(connection.dialect.name, idempotency_keys)
        .values(values)
        .on_conflict_do_update(
            index_elements=["user_id", "key"],
            set_={"locked_until": locked_until},
            where=idempotency_keys.c.result.is_(None)
            & (idempotency_keys.c.locked_until <= now)
            & (idempotency_keys.c.fingerprint == fingerprint),
        )
        .returning(idempotency_keys.c.key)
    )
    return connection.execute(taken).one_or_none() is not None


def settle_key(
    connection: Connection, user_id: str, key: str, locked_until: float, result: str
) -> bool:
    """Write what the request led to; False where the key was taken over meanwhile."""
    settled = connection.execute(
        update(idempotency_keys)
        .where(
            *_is(user_id, key),
            idempotency_keys.c.locked_until == locked_until,
            idempotency_keys.c.result.is_(None),
        )
        .values(result=result)
    )
    return settled.rowcount == 1


def release_key(connection: Connection, user_id: str, key: str, locked_until: float) -> None:
    """Let go of a key whose request had no effect."""
    connection.execute(
        delete(idempotency_keys).where(
            *_is(user_id, key),
            idempotency_keys.c.locked_until == locked_until,
            idempotency_keys.c.result.is_(None),
        )
    )


def forget_keys(connection: Connection, before: float) -> int:
    """Delete what was taken before that moment; how many there were."""
    return connection.execute(
        delete(idempotency_keys).where(idempotency_keys.c.created_at < before)
    ).rowcount


def _is(user_id: str, key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return idempotency_keys.c.user_id == user_id, idempotency_keys.c.key == key
