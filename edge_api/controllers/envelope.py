"""The one shape of every answer: `{success, data, error, meta}`."""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from msgspec import UNSET, Struct, UnsetType

from edge_api.domain.errors import Details, DomainError, InvalidRequest
from shared.logs import logged_as
from shared.rules import Problem

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Meta(Struct, frozen=True):
    """About the answer itself. `next_cursor` is there where a list goes on."""

    request_id: Annotated[str, msgspec.Meta(examples=["b0d3c2f7e7f04a6f9a35d9a8a3f0f2c1"])]
    timestamp: Annotated[str, msgspec.Meta(examples=["2026-11-20T09:30:00.000Z"])]
    next_cursor: str | UnsetType = UNSET


class Envelope(Struct, Generic[T], frozen=True):
    """A call that succeeded."""

    data: T
    meta: Meta
    success: bool = True
    error: None = None


class ErrorBody(Struct, frozen=True):
    """`code` is stable; `message` is a sentence for a person; `details` depends on the code."""

    code: str
    message: str
    details: Details | UnsetType = UNSET


class ErrorEnvelope(Struct, frozen=True):
    """A call that did not succeed."""

    error: ErrorBody
    meta: Meta
    success: bool = False
    data: None = None


def timestamp(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def meta(next_cursor: str | None = None) -> Meta:
    return Meta(
        logged_as("request_id") or "",
        timestamp(datetime.now(UTC).timestamp()),
        UNSET if next_cursor is None else next_cursor,
    )


def ok(data: T, next_cursor: str | None = None) -> Envelope[T]:
    return Envelope(data, meta(next_cursor))


def error_response(
    status: int,
    code: str,
    message: str,
    details: Details | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[ErrorEnvelope]:
    body = ErrorBody(code, message, UNSET if details is None else details)
    sent = {"Retry-After": "5"} if status in {429, 503} else {}
    return Response(
        ErrorEnvelope(body, meta()), status_code=status, headers={**sent, **(headers or {})}
    )


AnyRequest = Request[object, object, State]


def domain_error(_: AnyRequest, error: DomainError) -> Response[ErrorEnvelope]:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return error_response(error.status, error.code, error.message, error.details, headers)


def undecodable(_: AnyRequest, error: Exception) -> Response[ErrorEnvelope]:
    """A body that is not UTF-8, or nested too deeply."""
    return domain_error(_, InvalidRequest([Problem("body", f"is not valid JSON: {error}")]))


_HTTP_CODES = {
    400: "VALIDATION_ERROR",
    401: "AUTH_REQUIRED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    503: "UNAVAILABLE",
}

_HUNG_UP = "client disconnected prematurely"
"""How the framework says so, with a 500: all in a day's work on a mobile network."""

_MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is too large.",
}


def http_error(request: AnyRequest, error: HTTPException) -> Response[ErrorEnvelope]:
    """What the framework refuses before a handler runs."""
    status = error.status_code
    if status == 400:
        return domain_error(request, InvalidRequest(_problems(error)))
    if error.detail == _HUNG_UP:
        logger.info("the caller hung up")
        return error_response(400, "VALIDATION_ERROR", "The body broke off.")
    if status >= 500:
        return internal_error(request, error)
    message = _MESSAGES.get(status, error.detail)
    code = _HTTP_CODES.get(status, "VALIDATION_ERROR")
    # A 405 has to name the methods that are allowed.
    return error_response(status, code, message, headers=error.headers)


def _problems(error: HTTPException) -> Sequence[Problem]:
    """`extra` of a validation error is `[{message, key, source}]`."""
    entries = cast("list[dict[str, object]]", error.extra if isinstance(error.extra, list) else [])
    problems = [_problem(entry) for entry in entries]
    return problems or [Problem("body", error.detail)]


_MISSING = re.compile(r"Object missing required field `(\w+)`")


def _problem(entry: dict[str, object]) -> Problem:
    key, message = str(entry.get("key", "")), str(entry.get("message", ""))
    path = "" if key == "data" else key
    if missing := _MISSING.fullmatch(message):
        # msgspec names the object that lacks a field; people look for the field.
        return Problem(f"{path}.{missing[1]}".lstrip("."), "is missing")
    if not path:
        # An empty body arrives as the bare name of the handler's parameter.
        return Problem("body", "is empty" if message == "'data'" else message)
    return Problem(path, message)


def unavailable(_: AnyRequest, error: Exception) -> Response[ErrorEnvelope]:
    """The database does not do its part; the same call may succeed later."""
    logger.error("the database is unavailable: %s", error)
    return error_response(503, "UNAVAILABLE", "The service is busy or being mended; try again.")


def internal_error(_: AnyRequest, error: Exception) -> Response[ErrorEnvelope]:
    """Anything unforeseen: the log has the traceback, the caller has the request id."""
    logger.error("unhandled error", exc_info=error)
    return error_response(500, "INTERNAL_ERROR", "Something went wrong on our side.")
