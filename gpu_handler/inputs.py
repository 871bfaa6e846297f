"""The `input` of a Runpod request, checked before anything is done: a job, or a photo to try."""

import re
from typing import TypeVar, cast

import msgspec
from msgspec import Struct

from shared.messages import JobMessage
from shared.rules import RequestedRule
from shared.versions import READS, WrittenMessage, read

T = TypeVar("T")

_PLACE = re.compile(r"(?s)(?P<reason>.*?)(?: - at `(?:key in )?\$\.?(?P<path>.*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<name>.+)`")


class InputRefused(Exception):
    """The request cannot be worked on. `str()` is `CODE: a sentence`, safe to show."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")


class InlineRequest(Struct, frozen=True):
    """What a person types into the console: names and values as people write them."""

    concepts: dict[str, RequestedRule]
    image_url: str | None = None
    image_base64: str | None = None
    protect: list[str] | None = None
    preset: str = "interior"
    protect_defaults: bool = True


def read_input(payload: object) -> JobMessage | InlineRequest:
    """Raises InputRefused: INVALID_INPUT with the field, or UNSUPPORTED_SCHEMA."""
    if not isinstance(payload, dict):
        raise invalid("input", "must be an object")
    fields = cast("dict[str, object]", payload)
    if "job_id" in fields:
        return read(_convert(fields, _kind(fields.get("schema_version"))))
    if "image_url" in fields or "image_base64" in fields:
        return _convert(fields, InlineRequest)
    raise invalid("job_id", "is missing (or give image_url or image_base64 to try one photo)")


def invalid(field: str, reason: str) -> InputRefused:
    return InputRefused("INVALID_INPUT", f"field {field}: {reason}")


def _kind(version: object) -> type[WrittenMessage]:
    if version is None:
        return JobMessage  # which refuses it as a missing field
    for number, kind in READS.items():
        if version == number:
            return kind
    known = " and ".join(map(str, READS))
    message = f"this worker reads schema_version {known}, not {str(version)[:20]}"
    raise InputRefused("UNSUPPORTED_SCHEMA", message)


def _convert(payload: object, into: type[T]) -> T:
    try:
        return msgspec.convert(payload, into)
    except msgspec.ValidationError as error:
        raise invalid(*_place(str(error))) from error


def _place(text: str) -> tuple[str, str]:
    """Field and reason from msgspec's sentence; a missing field is named itself."""
    found = _PLACE.fullmatch(text)
    path, reason = (found["path"] or "", found["reason"]) if found else ("", text)
    if missing := _MISSING.fullmatch(reason):
        return ".".join(filter(None, (path, missing["name"]))), "is missing"
    return path or "input", reason[:1].lower() + reason[1:]
