"""JSON lines, each with the request or job that it belongs to: the same in both programs."""

import json
import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

Fields = dict[str, str | int]

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
"""What may stand in `X-Request-Id`: any other is replaced, since it goes into lines and headers."""

_context: ContextVar[Fields] = ContextVar("log_context", default={})  # noqa: B039 - never changed in place
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# At INFO they write whole URLs, of which a query string may be a secret.
_CHATTY = ("httpx", "httpcore", "botocore", "boto3", "urllib3", "s3transfer", "asyncio")


@contextmanager
def log_context(**fields: str | int) -> Generator[None]:
    """Add `fields` to every line logged inside, in tasks and threads begun there as well."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def also_log(**fields: str | int) -> None:
    """Add what became known only now to the surrounding `log_context`, until that ends.

    Called in the task that opened it: what a task or thread begun inside adds is its own.
    """
    _context.set({**_context.get(), **fields})


def logged_as(field: str) -> str | None:
    """What the surrounding `log_context` gave for a field."""
    value = _context.get().get(field)
    return None if value is None else str(value)


class JsonLines(logging.Formatter):
    """One JSON object a line; what a record carries in `extra` becomes fields of its own."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logs(level: str, output: TextIO) -> None:
    """Replace whatever the root logger has; libraries stay at WARNING and above."""
    handler = logging.StreamHandler(output)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
