"""Anonymous accounts and their tokens."""

import hmac
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import jwt
from msgspec import Struct
from sqlalchemy import Connection

from edge_api.domain.addresses import limit_group
from edge_api.domain.errors import RateLimited, TokenExpired, TokenInvalid
from edge_api.domain.ids import new_id
from edge_api.domain.plans import LIMITS, Plan
from edge_api.settings import Settings
from edge_api.storage.database import Database
from edge_api.storage.grants import note_device, spend_budget
from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.rate_limits import Rate, take_calls
from edge_api.storage.users import User, find_user, find_user_by_device, insert_user

DAY = 24 * 3600.0
REMEMBERED = 4096
"""Tokens whose signature is not checked again; what they say of their time is."""

LONGEST_TOKEN = 4096
_USER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

CLOCK_SKEW = 300
"""Seconds that two of our machines may be apart."""


class SignedUp(Struct, frozen=True):
    user_id: str
    token: str
    plan: Plan
    is_new: bool


class Admission(Struct, frozen=True):
    """Limits of what is given away. `per_address` None means that nobody counts.

    `older_keys` are those that `device_key` takes over from.
    """

    per_address: Rate | None
    daily_credits: int
    device_key: bytes
    older_keys: tuple[bytes, ...] = ()

    def digests(self, device_hash: str) -> list[str]:
        """What is kept of a device once its account is gone: it leads back to nobody.

        One for each key, always in the same order: processes lock the rows one by one.
        """
        keys = (self.device_key, *self.older_keys)
        return sorted(hmac.new(key, device_hash.encode(), "sha256").hexdigest() for key in keys)


class _Verified(Struct, frozen=True):
    """What a token says whose signature was checked."""

    user_id: str
    expires: float


class Accounts:
    """Signs people up and tells who a token belongs to."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._secrets = [secret.reveal() for secret in settings.jwt_secrets]
        self._lifetime = settings.token_lifetime
        self._verified: dict[str, _Verified] = {}
        self._admission = Admission(
            Rate(settings.signups_per_hour, 3600.0) if settings.signups_per_hour else None,
            settings.free_credits_per_day,
            *_device_keys(self._secrets),
        )

    async def sign_up(self, device_hash: str | None, address: str) -> SignedUp:
        """A new account with the plan's credits; a known device gets its own account again.

        `address` is who asks, for the limits of new accounts. Raises RateLimited.
        """
        user, is_new = await self._database.write(
            admit, device_hash or None, address, self._admission, time.time()
        )
        return SignedUp(user.id, self._issue(user.id), user.plan, is_new)

    async def fetch(self, user_id: str) -> User:
        """Raises TokenInvalid for an account that is gone."""
        user = await self._database.read(find_user, user_id)
        if user is None:
            raise TokenInvalid
        return user

    def authenticate(self, token: str) -> str:
        """The user id a token was issued for. Raises TokenExpired or TokenInvalid."""
        known = self._verified.get(token)
        if known is None:
            known = self._verify(token)
            if len(self._verified) >= REMEMBERED:
                self._verified.clear()
            self._verified[token] = known
        if known.expires <= time.time():
            raise TokenExpired
        return known.user_id

    def _verify(self, token: str) -> _Verified:
        if len(token) > LONGEST_TOKEN:
            raise TokenInvalid
        try:
            claims = self._decode(token)
            return _checked(claims["sub"], claims["iat"], claims["exp"])
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired from error
        except (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError) as error:
            raise TokenInvalid from error

    def _decode(self, token: str) -> dict[str, Any]:
        """The claims, where one of the secrets signed them; raises jwt.InvalidTokenError."""
        for secret in self._secrets:
            with suppress(jwt.InvalidSignatureError):
                return jwt.decode(
                    token,
                    secret,
                    algorithms=["HS256"],
                    options={"require": ["sub", "iat", "exp"], "verify_iat": False},
                )
        raise jwt.InvalidSignatureError

    def _issue(self, user_id: str) -> str:
        now = int(time.time())
        claims = {"sub": user_id, "iat": now, "exp": now + self._lifetime}
        return jwt.encode(claims, self._secrets[0], algorithm="HS256")


def _device_keys(secrets: Sequence[str]) -> tuple[bytes, tuple[bytes, ...]]:
    current, *older = (b"device:" + secret.encode() for secret in secrets)
    return current, tuple(older)


def _checked(user_id: object, issued: object, expires: object) -> _Verified:
    """Raises TokenInvalid for claims of kinds that we do not issue."""
    if not (isinstance(user_id, str) and _USER_ID.fullmatch(user_id)):
        raise TokenInvalid
    if not (isinstance(issued, int) and isinstance(expires, int)):
        raise TokenInvalid
    if isinstance(issued, bool) or isinstance(expires, bool):
        raise TokenInvalid
    # Of two machines one has the slower clock: what the other issued just now is good.
    if issued > time.time() + CLOCK_SKEW:
        raise TokenInvalid
    return _Verified(user_id, float(expires))


def admit(
    connection: Connection,
    device_hash: str | None,
    address: str,
    admission: Admission,
    now: float,
) -> tuple[User, bool]:
    """The device's account, or a new one within the limits; True where it is new.

    A device whose account was erased gets another, but its free credits only once. While a secret
    is being replaced a device is noted under both, so that it is still known without the old one.
    """
    if device_hash is not None:
        known = find_user_by_device(connection, device_hash)
        if known is not None:
            if admission.older_keys:
                note_device(connection, admission.digests(device_hash), now)
            return known, False
    first = device_hash is None or note_device(connection, admission.digests(device_hash), now)
    credits = LIMITS[Plan.FREE].credits if first else 0
    opened = open_account(connection, device_hash, now, credits=credits)
    # Rows that all sign-ups share are touched last: each waits for the one before to commit.
    _count_sign_up(connection, address, admission, now)
    if credits and not spend_budget(connection, _day(now), credits, admission.daily_credits):
        raise RateLimited("Today's free credits are given out.", DAY - now % DAY)
    return opened


def _count_sign_up(connection: Connection, address: str, admission: Admission, now: float) -> None:
    rate = admission.per_address
    if rate is None:
        return
    taken = take_calls(connection, f"signups:{limit_group(address)}", rate, now)
    if not taken.allowed:
        raise RateLimited(f"At most {rate.calls} new accounts an hour.", taken.wait)


def _day(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).date().isoformat()


def open_account(
    connection: Connection,
    device_hash: str | None,
    now: float,
    plan: Plan = Plan.FREE,
    credits: int | None = None,
) -> tuple[User, bool]:
    """The device's account, or a new one with the plan's credits or as many as given."""
    if device_hash is not None:
        known = find_user_by_device(connection, device_hash)
        if known is not None:
            return known, False
    user_id, granted = new_id("user"), LIMITS[plan].credits if credits is None else credits
    insert_user(connection, user_id, plan, device_hash, now)
    if granted:
        move_credits(connection, user_id, Kind.GRANT, granted, now, None)
    user = find_user(connection, user_id)
    assert user is not None
    return user, True
