"""A request's id, its line in the access log, and the headers every answer carries."""

import logging
import math
import re
import secrets
import time

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from edge_api.storage.rate_limits import Rate
from shared.logs import log_context

logger = logging.getLogger("edge_api.access")

_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Answers hold tokens and presigned URLs.
    (b"cache-control", b"no-store"),
]


class RequestLog:
    """Takes the caller's `X-Request-ID` where it is sane, or makes one, and sends it back.

    It stands around the whole application: the framework's own middleware does not see a request
    that no route matches.
    """

    def __init__(self, app: ASGIApp, rate: Rate | None = None) -> None:
        self._app = app
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = _identify(scope)
        with log_context(request_id=identifier):
            await self._logged(scope, receive, send, identifier)

    async def _logged(
        self, scope: HTTPScope, receive: Receive, send: Send, identifier: str
    ) -> None:
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                added = [pair for pair in _HEADERS if pair[0] not in present]
                own = (b"x-request-id", identifier.encode())
                message["headers"] = [*message["headers"], *added, own, *self._limits(scope)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            logger.info(
                "request",
                extra={
                    "method": scope["method"],
                    # The path alone: a query may hold a signature.
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                    "user_id": scope.get("user"),
                },
            )

    def _limits(self, scope: HTTPScope) -> list[tuple[bytes, bytes]]:
        """What draft-ietf-httpapi-ratelimit-headers-10 says of a caller's calls."""
        left = scope.get("state", {}).get("calls_left")
        if self._rate is None or left is None:
            return []
        calls, seconds = self._rate.calls, self._rate.seconds
        full_in = math.ceil((calls - left) * self._rate.interval)
        return [
            (b"ratelimit-policy", f'"calls";q={calls};w={seconds:g}'.encode()),
            (b"ratelimit", f'"calls";r={left};t={full_in}'.encode()),
        ]


def _identify(scope: HTTPScope) -> str:
    sent = dict(scope["headers"]).get(b"x-request-id", b"")
    return sent.decode() if _ACCEPTED_ID.fullmatch(sent) else secrets.token_hex(16)
