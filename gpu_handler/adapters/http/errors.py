"""What the adapter refuses, with the HTTP status that says so."""

from collections.abc import Mapping
from typing import ClassVar


class Refused(Exception):
    """The text goes to the caller as `{"error": text}`; it repeats nothing that was sent."""

    status: ClassVar[int] = 400
    headers: ClassVar[Mapping[str, str]] = {}


class InvalidRequest(Refused):
    """The body does not fit; the text names the field."""


class Unauthorized(Refused):
    """The key is missing or another."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}

    def __init__(self) -> None:
        super().__init__("unauthorized: send `Authorization: Bearer` and the HANDLER_API_KEY")


class JobNotFound(Refused):
    """Never there, or forgotten after its retention."""

    status = 404

    def __init__(self) -> None:
        super().__init__("job not found")


class NotTaken(Refused):
    """No job is taken at this moment, and this one was not.

    429 for every such reason, and not 503: with that, a caller who may not run a job twice has to
    doubt whether the request got through, and the service waits two minutes before it tries again.
    """

    status = 429
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}
