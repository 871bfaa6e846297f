"""Who calls: the guards in front of every handler."""

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from edge_api.domain.errors import AuthRequired, TokenInvalid, UnsupportedMediaType
from edge_api.services import Services

Connection = ASGIConnection[BaseRouteHandler, object, object, State]


Caller = Request[str, object, State]
"""A request whose `user` is the id of the account behind the token."""


async def authenticated(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: `json_only`, then put the caller's user id into the scope, or raise a 401."""
    # One guard for both: for each the framework copies the whole handler.
    await json_only(connection, handler)
    header = connection.headers.get("authorization", "")
    if not header.strip():
        raise AuthRequired
    scheme, _space, token = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid
    services: Services = connection.app.state.services
    connection.scope["user"] = user_id = services.accounts.authenticate(token.strip())
    left = await services.calls.count(user_id)
    if left is not None:
        connection.scope["state"]["calls_left"] = left


async def json_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard: a body that says it is something else than JSON is refused before it is read."""
    media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType
