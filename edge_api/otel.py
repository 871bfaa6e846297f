"""OpenTelemetry behind `edge_api.telemetry`: imported only where it is asked for."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from edge_api.telemetry import Attributes, Headers, Span
from shared.logs import log_context

PATIENCE = 5.0
"""Seconds that a service which ends waits for a collector."""

_W3C = TraceContextTextMapPropagator()


def export() -> SpanProcessor:
    """Sends spans in batches, from a thread of its own, to where the SDK's variables say."""
    return BatchSpanProcessor(OTLPSpanExporter())


class OpenTelemetry:
    """A provider of its own, not the global one. The sampler is what the SDK's variables say."""

    def __init__(self, processor: SpanProcessor, version: str) -> None:
        ours = Resource({"service.name": "palette-api", "service.version": version})
        self._provider = TracerProvider(
            # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what is ours.
            resource=Resource.create().merge(ours).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("edge_api", version)

    @contextmanager
    def serve(self, name: str, headers: Headers) -> Generator[Span]:
        caller = _W3C.extract(headers)
        # What an exception says is for the log alone: a collector is another's house.
        with (
            self._tracer.start_as_current_span(
                name,
                context=caller,
                kind=SpanKind.SERVER,
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
            log_context(trace_id=_trace_id(span)),
            _failing(span),
        ):
            yield RecordedSpan(span)

    @contextmanager
    def work(self, name: str, **ids: str | int) -> Generator[Span]:
        with (
            self._tracer.start_as_current_span(
                name,
                kind=SpanKind.INTERNAL,
                attributes={f"palette.{key}": value for key, value in ids.items()},
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
            log_context(trace_id=_trace_id(span), **ids),
            _failing(span),
        ):
            yield RecordedSpan(span)

    def close(self) -> None:
        # The SDK would wait half a minute for a collector that is gone.
        end = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        end.start()
        end.join(PATIENCE)


class RecordedSpan:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        carrier = dict[str, str]()
        _W3C.inject(carrier, set_span_in_context(self._span))
        return carrier.get("traceparent")

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, reason))


@contextmanager
def _failing(span: OtelSpan) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise


def _trace_id(span: OtelSpan) -> str:
    return format(span.get_span_context().trace_id, "032x")
