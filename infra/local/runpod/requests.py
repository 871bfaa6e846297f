"""What callers and workers send, decoded; payloads stay raw JSON."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from infra.local.runpod.errors import InvalidRequest
from infra.local.runpod.settings import EXECUTION_TIMEOUT_MS, TTL_MS

T = TypeVar("T")


class Policy(Struct, frozen=True, rename="camel"):
    """Limits of one request, in milliseconds."""

    execution_timeout: (
        Annotated[int, Meta(ge=EXECUTION_TIMEOUT_MS[0], le=EXECUTION_TIMEOUT_MS[1])] | None
    ) = None
    ttl: Annotated[int, Meta(ge=TTL_MS[0], le=TTL_MS[1])] | None = None
    low_priority: bool | None = None


class RunRequest(Struct, frozen=True, rename="camel"):
    """The body of `/run` and `/runsync`."""

    input: Raw
    webhook: str | None = None
    policy: Policy | None = None
    s3_config: Raw | None = None

    def __post_init__(self) -> None:
        if not bytes(self.input).lstrip().startswith(b"{"):
            raise ValueError("`input` must be an object")

    def passed_on(self) -> dict[str, object]:
        """The fields that reach the worker."""
        fields = {
            "input": self.input,
            "webhook": self.webhook,
            "policy": self.policy,
            "s3Config": self.s3_config,
        }
        return {name: value for name, value in fields.items() if value is not None}


class DonePost(Struct, frozen=True, rename="camel"):
    """The body of `job-done`: a result, an error, both, or with `status` a progress update.

    `{}` is a handler that returned `{}`; `null` as output is a handler that returned None.
    """

    output: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    status: str | None = None
    stop_pod: bool = False

    @property
    def result(self) -> Raw | None:
        return None if self.output is UNSET else self.output

    @property
    def failure(self) -> Raw | None:
        """The error, unless it is one of the values that the service takes for none."""
        if self.error is UNSET or bytes(self.error) in (b"null", b'""', b"false"):
            return None
        return self.error


class StreamPost(Struct, frozen=True):
    """The body of `job-stream`: one chunk of a generator."""

    output: Raw = Raw(b"null")


def decode(body: bytes, kind: type[T]) -> T:
    """Raises InvalidRequest, with the path of what does not fit and none of the values."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(str(error)) from None
