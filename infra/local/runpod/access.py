"""Who may call: the caller's key on one side, the worker's on the other."""

import asyncio
import hmac
from typing import Any, TypeAlias

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from infra.local.runpod.errors import Unauthorized
from infra.local.runpod.settings import RunpodSettings

HttpRequest: TypeAlias = Request[None, None, State]
Connection: TypeAlias = ASGIConnection[Any, Any, Any, State]


def require_api_key(connection: Connection, _: BaseRouteHandler) -> None:
    """`Bearer <key>`, or the bare key as some of the service's own examples have it."""
    sent = connection.headers.get("authorization", "")
    if not _same(sent.removeprefix("Bearer ").strip(), _settings(connection).api_key):
        raise Unauthorized


async def require_worker_key(connection: Connection, _: BaseRouteHandler) -> None:
    """The bare key, as the SDK sends it. Refused slowly: the SDK asks again without a pause."""
    settings = _settings(connection)
    if not _same(connection.headers.get("authorization", ""), settings.worker_key):
        await asyncio.sleep(settings.refusal_delay)
        raise Unauthorized


def _settings(connection: Connection) -> RunpodSettings:
    settings: RunpodSettings = connection.app.state.settings
    return settings


def _same(sent: str, key: str) -> bool:
    return hmac.compare_digest(sent.encode(), key.encode())
