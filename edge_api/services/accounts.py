"""Anonymous accounts and their tokens."""

import time

import jwt
from msgspec import Struct
from sqlalchemy import Connection

from edge_api.domain.errors import TokenExpired, TokenInvalid
from edge_api.domain.ids import new_id
from edge_api.domain.plans import LIMITS, Plan
from edge_api.settings import Settings
from edge_api.storage.database import Database
from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.users import User, find_user, find_user_by_device, insert_user


class SignedUp(Struct, frozen=True):
    user_id: str
    token: str
    plan: Plan
    is_new: bool


class Accounts:
    """Signs people up and tells who a token belongs to."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._secret = settings.jwt_secret
        self._lifetime = settings.token_lifetime

    async def sign_up(self, device_hash: str | None) -> SignedUp:
        """A new account with the plan's credits; a known device gets its own account again."""
        user, is_new = await self._database.write(open_account, device_hash or None, time.time())
        return SignedUp(user.id, self._issue(user.id), user.plan, is_new)

    async def fetch(self, user_id: str) -> User:
        """Raises TokenInvalid for an account that is gone."""
        user = await self._database.read(find_user, user_id)
        if user is None:
            raise TokenInvalid
        return user

    def authenticate(self, token: str) -> str:
        """The user id a token was issued for. Raises TokenExpired or TokenInvalid."""
        try:
            claims = jwt.decode(
                token,
                self._secret.reveal(),
                algorithms=["HS256"],
                options={"require": ["sub", "iat", "exp"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired from error
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise TokenInvalid from error
        return claims["sub"]

    def _issue(self, user_id: str) -> str:
        now = int(time.time())
        claims = {"sub": user_id, "iat": now, "exp": now + self._lifetime}
        return jwt.encode(claims, self._secret.reveal(), algorithm="HS256")


def open_account(
    connection: Connection, device_hash: str | None, now: float, plan: Plan = Plan.FREE
) -> tuple[User, bool]:
    """The device's account, or a new one with its credits granted; True where it is new."""
    if device_hash is not None:
        known = find_user_by_device(connection, device_hash)
        if known is not None:
            return known, False
    user_id = new_id("user")
    insert_user(connection, user_id, plan, device_hash, now)
    move_credits(connection, user_id, Kind.GRANT, LIMITS[plan].credits, now, None)
    user = find_user(connection, user_id)
    assert user is not None
    return user, True
