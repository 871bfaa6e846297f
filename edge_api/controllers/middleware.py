"""A request's id, its line in the access log, and the headers every answer carries."""

import logging
import math
import re
import secrets
import time

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from edge_api.services.counters import Counters
from edge_api.storage.rate_limits import Rate
from edge_api.telemetry import UNTRACED, Span, Tracing
from shared.logs import REQUEST_ID, log_context

logger = logging.getLogger("edge_api.access")

_JOB = re.compile(r"/jobs/([A-Za-z0-9_-]{1,64})(?:/|$)")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Answers hold tokens and presigned URLs.
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-site"),
]
_POLICY = b"content-security-policy"
_DATA_ONLY = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
_DOCS = "/docs"
_PAGE = (
    _POLICY,
    b"default-src 'none'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    b"script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net",
)
"""The page to try calls, which is not served in production."""
_ENCRYPTED = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


_TRACE = (b"traceparent", b"tracestate")
_PROBES = ("/health", "/metrics")
"""Asked for all day long: no spans."""


class RequestLog:
    """Takes the caller's `X-Request-ID` where it is sane, or makes one, and sends it back.

    It stands around the whole application: the framework's own middleware does not see a request
    that no route matches.
    """

    def __init__(
        self,
        app: ASGIApp,
        rate: Rate | None = None,
        *,
        encrypted: bool = False,
        counters: Counters | None = None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._app = app
        self._rate = rate
        self._headers = [*_HEADERS, _ENCRYPTED] if encrypted else _HEADERS
        self._counters = counters or Counters()
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # No name of ours has a NUL, and PostgreSQL would not even look for one.
        scope["path"] = scope["path"].replace("\0", "\ufffd")
        identifier = _identify(scope)
        tracing = UNTRACED if scope["path"].startswith(_PROBES) else self._tracing
        with (
            self._counters.in_progress.track_inprogress(),
            log_context(request_id=identifier, **_job(scope)),
            tracing.serve(scope["method"], _trace(scope)) as span,
        ):
            status = await self._logged(scope, receive, send, identifier)
            _describe(span, scope, status, identifier)

    async def _logged(self, scope: HTTPScope, receive: Receive, send: Send, identifier: str) -> int:
        """The answer's status; 0 where the caller hung up before."""
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                policy = _PAGE if scope["path"].startswith(_DOCS) else _DATA_ONLY
                ours = (*self._headers, policy)
                added = [pair for pair in ours if pair[0] not in present]
                own = (b"x-request-id", identifier.encode())
                message["headers"] = [*message["headers"], *added, own, *self._limits(scope)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            template = scope.get("path_template")
            self._counters.observe_request(scope["method"], template, status, seconds)
            logger.info(
                "request",
                extra={
                    "method": scope["method"],
                    # The path alone: a query may hold a signature.
                    "path": scope["path"],
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                    "user_id": scope.get("user"),
                },
            )
        return status

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
    sent = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return sent if REQUEST_ID.fullmatch(sent) else secrets.token_hex(16)


def _job(scope: HTTPScope) -> dict[str, str]:
    """What joins a request with the dispatches of a job and with the handler's lines.

    From the path itself: lines of before a route is found are the job's as well.
    """
    found = _JOB.match(scope["path"])
    return {} if found is None else {"job_id": found[1]}


def _trace(scope: HTTPScope) -> dict[str, str]:
    return {
        name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _TRACE
    }


def _describe(span: Span, scope: HTTPScope, status: int, identifier: str) -> None:
    """By OpenTelemetry's names for HTTP; neither query nor path, which hold what is private."""
    method, template = scope["method"], scope.get("path_template")
    span.note(
        {
            "http.request.method": method,
            "http.response.status_code": status,
            "palette.request_id": identifier,
            **{f"palette.{name}": value for name, value in _job(scope).items()},
        }
    )
    if template:
        span.note({"http.route": template})
        span.rename(f"{method} {template}")
    if status >= 500:
        span.fail(str(status))
