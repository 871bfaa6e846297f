"""Idempotency-Key: a request that is repeated has its effect once.

After draft-ietf-httpapi-idempotency-key-header-07: the same request again answers as the first did,
another request with the key is refused with 422, the same one while the first is under way with
409. Only effects are remembered: a request that was refused may be sent again with its key.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

from edge_api.domain.errors import IdempotencyKeyInUse, IdempotencyKeyReused, TokenInvalid
from edge_api.storage.database import Database
from edge_api.storage.idempotency import find_key, release_key, settle_key, take_key
from edge_api.storage.users import find_user

P = ParamSpec("P")
T = TypeVar("T")

LIFETIME = 24 * 3600.0
"""Seconds for which a key is remembered."""


class Claim(Struct, frozen=True):
    """A request's hold on its key, or that it has none.

    `result` is what the first request with the key led to: nothing is left to do then.
    """

    user_id: str = ""
    key: str | None = None
    locked_until: float = 0.0
    result: str | None = None

    def settling(
        self, fn: Callable[Concatenate[Connection, P], T], result: Callable[[T], str]
    ) -> Callable[Concatenate[Connection, P], T]:
        """`fn`, which also writes what it led to, in the same transaction.

        Raises IdempotencyKeyInUse, and nothing happens, where the key was taken over meanwhile.
        """
        if self.key is None or self.result is not None:
            return fn
        key = self.key

        def run(connection: Connection, *args: P.args, **kwargs: P.kwargs) -> T:
            value = fn(connection, *args, **kwargs)
            if not settle_key(connection, self.user_id, key, self.locked_until, result(value)):
                raise IdempotencyKeyInUse
            return value

        return run


NO_CLAIM = Claim()


class Idempotency:
    """Claims keys for requests."""

    def __init__(self, database: Database, lock: float) -> None:
        """`lock` in seconds, longer than any request takes: after it a request whose process died
        is taken over."""
        self._database = database
        self._lock = lock

    @asynccontextmanager
    async def claim(self, user_id: str, key: str | None, fingerprint: str) -> AsyncGenerator[Claim]:
        """Hold the key while the request is carried out. `fingerprint` tells requests apart.

        Raises IdempotencyKeyReused or IdempotencyKeyInUse.
        """
        if key is None:
            yield NO_CLAIM
            return
        claim = await self._database.write(
            claim_key, user_id, key, fingerprint, self._lock, time.time()
        )
        try:
            yield claim
        except BaseException:
            if claim.result is None:
                await self._database.write(release_key, user_id, key, claim.locked_until)
            raise


def claim_key(
    connection: Connection, user_id: str, key: str, fingerprint: str, lock: float, now: float
) -> Claim:
    if find_user(connection, user_id) is None:
        raise TokenInvalid
    until = now + lock
    if take_key(connection, user_id, key, fingerprint, now, until):
        return Claim(user_id, key, until)
    stored = find_key(connection, user_id, key)
    if stored is None:
        raise IdempotencyKeyInUse
    if stored.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    if stored.result is None:
        raise IdempotencyKeyInUse
    return Claim(user_id, key, stored.locked_until, stored.result)
