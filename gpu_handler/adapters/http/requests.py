"""What callers send, decoded."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gpu_handler.adapters.http.errors import InvalidRequest

MILLISECONDS_OF_7_DAYS = 7 * 86_400_000


class Policy(Struct, frozen=True, rename="camel"):
    """Limits of one request in milliseconds, in the ranges that Runpod documents."""

    execution_timeout: Annotated[int, Meta(ge=5_000, le=MILLISECONDS_OF_7_DAYS)] | None = None
    ttl: Annotated[int, Meta(ge=10_000, le=MILLISECONDS_OF_7_DAYS)] | None = None


class RunRequest(Struct, frozen=True):
    """The body of `/run` and `/runsync`. Other fields of Runpod's, as `webhook`, are ignored."""

    input: dict[str, object]
    policy: Policy = Policy()


def read_request(body: bytes) -> RunRequest:
    """Raises InvalidRequest, with the path of what does not fit and none of the values."""
    try:
        return msgspec.json.decode(body, type=RunRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"INVALID_REQUEST: {error}") from None
