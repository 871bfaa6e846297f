"""The ids that join a worker's log lines and callbacks with those of the API."""

import re
from collections.abc import Mapping
from typing import cast

from shared.logs import REQUEST_ID
from shared.messages import JobMessage

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace_id>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_LONGEST = 128


def ids_of(payload: object) -> dict[str, str | int]:
    """What lines about a message carry, about one that is refused as well: nothing is checked yet.

    `trace_id` is that of its `traceparent`.
    """
    if not isinstance(payload, dict):
        return {}
    fields = cast("Mapping[str, object]", payload)
    found: dict[str, str | int] = {}
    for name in ("job_id", "dispatch_id", "attempt", "request_id"):
        value = fields.get(name)
        if isinstance(value, int) or (isinstance(value, str) and len(value) <= _LONGEST):
            found[name] = value
    trace = _TRACEPARENT.fullmatch(str(fields.get("traceparent")))
    return found if trace is None else {**found, **trace.groupdict()}


def origin(message: JobMessage) -> dict[str, str]:
    """Headers that tell the API what a callback follows from. What does not fit is left out: it is
    never worth a callback."""
    headers: dict[str, str] = {}
    if message.request_id is not None and REQUEST_ID.fullmatch(message.request_id):
        headers["x-request-id"] = message.request_id
    if message.traceparent is not None and _TRACEPARENT.fullmatch(message.traceparent):
        headers["traceparent"] = message.traceparent
    return headers
