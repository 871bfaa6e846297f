"""The envelope around every answer: opened here into data or an ApiError."""

from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from infra.client.errors import AnswerMalformed, ApiError

T = TypeVar("T")

EXCERPT_CHARS = 200


class Meta(Struct, frozen=True):
    request_id: str | None = None
    timestamp: str | None = None
    next_cursor: str | None = None


class ErrorBody(Struct, frozen=True):
    code: str
    message: str
    details: object = None


class Envelope(Struct, frozen=True):
    success: bool
    data: msgspec.Raw
    error: ErrorBody | None = None
    meta: Meta = Meta()


def open_envelope(call: str, response: httpx.Response) -> Envelope:
    """Raise ApiError for an error envelope and AnswerMalformed for anything but an envelope."""
    try:
        envelope = msgspec.json.decode(response.content, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AnswerMalformed(call, response.status_code, str(error), excerpt(response)) from error
    if envelope.error is not None:
        raise ApiError(
            response.status_code,
            envelope.error.code,
            envelope.error.message,
            envelope.error.details,
            envelope.meta.request_id,
        )
    if not envelope.success:
        raise AnswerMalformed(
            call, response.status_code, "neither success nor error", excerpt(response)
        )
    return envelope


def open_data(call: str, response: httpx.Response, envelope: Envelope, kind: type[T]) -> T:
    """The envelope's data as `kind`.

    Raises AnswerMalformed where a field is missing or of another type, without an excerpt: data
    may hold a token or presigned URLs.
    """
    try:
        return msgspec.json.decode(envelope.data, type=kind)
    except msgspec.DecodeError as error:
        raise AnswerMalformed(call, response.status_code, str(error), "") from error


def excerpt(response: httpx.Response) -> str:
    """The start of a body, on one line, for an error message."""
    text = response.content[: EXCERPT_CHARS * 4].decode("utf-8", errors="replace")
    text = " ".join(text.split())
    return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "…"
