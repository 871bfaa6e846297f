"""Spans, for whoever asks for them by OpenTelemetry's own variables; nothing of it elsewhere."""

import logging
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from shared.logs import log_context

logger = logging.getLogger(__name__)

Headers = Mapping[str, str]
"""Names in lower case. Only `traceparent` and `tracestate` are looked at."""

Attributes = Mapping[str, str | int]


class Span(Protocol):
    """What is being done. Attributes hold ids and words, never a secret or a query string.

    `traceparent` is W3C's header for who goes on with it elsewhere; None where nothing is traced.
    """

    @property
    def traceparent(self) -> str | None: ...

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, reason: str) -> None: ...


class Tracing(Protocol):
    """Opens spans. Inside one, log lines carry its `trace_id`."""

    def serve(self, name: str, headers: Headers) -> AbstractContextManager[Span]:
        """A request that came in; it continues the caller's trace where `headers` name one."""
        ...

    def work(self, name: str, **ids: str | int) -> AbstractContextManager[Span]:
        """Work of a background loop, by these ids, which the log lines carry as well."""
        ...

    def close(self) -> None:
        """Send what is left, within a few seconds; blocks meanwhile."""
        ...


class NoSpan:
    traceparent: str | None = None

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, reason: str) -> None: ...


class Untraced:
    """Nobody asked: only the log lines carry the ids."""

    @contextmanager
    def serve(self, name: str, headers: Headers) -> Generator[Span]:
        yield _NO_SPAN

    @contextmanager
    def work(self, name: str, **ids: str | int) -> Generator[Span]:
        with log_context(**ids):
            yield _NO_SPAN

    def close(self) -> None: ...


_NO_SPAN = NoSpan()
UNTRACED = Untraced()


def start_tracing(asked: bool, version: str) -> Tracing:
    """OpenTelemetry as its variables say, where it is asked for and installed."""
    if not asked:
        return UNTRACED
    try:
        from edge_api.otel import OpenTelemetry, export
    except ModuleNotFoundError as error:
        # A service without traces is better than none.
        logger.warning("no traces: install the extra 'otel'", extra={"missing": error.name})
        return UNTRACED
    return OpenTelemetry(export(), version)
