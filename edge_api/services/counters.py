"""What this process saw happen, counted for /metrics."""

from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from edge_api.services.attempts import Lost

UNMATCHED = "(unmatched)"
"""Paths of no route, and methods that no route has: one label, however many there are."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BEGINNINGS = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0)
_LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

# When each series began is not asked for, and would be a fifth of the text.
disable_created_metrics()


class Submit(StrEnum):
    """What came of handing one dispatch to Runpod. Each counts as exactly one of these."""

    SUBMITTED = "submitted"  # Runpod took it
    TRANSIENT = "transient"  # Runpod did not take it now; tried again
    AMBIGUOUS = "ambiguous"  # nobody knows; a sign of life is awaited
    DENIED = "denied"  # the key is wrong; tried again
    REFUSED = "refused"  # Runpod will never take this one; failed and refunded
    GIVEN_UP = "given_up"  # transient once too often; failed and refunded
    NEEDLESS = "needless"  # the job was over before it was submitted


class Counters:
    """Counters with a registry of their own, so that several services fit into one process."""

    def __init__(self, version: str = "") -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("palette_build", "The version that runs.", registry=registry).info(
            {"version": version}
        )
        self.in_progress = Gauge(
            "palette_http_requests_in_progress",
            "Requests that this process is answering.",
            registry=registry,
        )
        self._requests = Counter(
            "palette_http_requests",
            "Answers of this process, by route template; status 'none' where the caller hung up.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._durations = Histogram(
            "palette_http_request_duration_seconds",
            "From the request's head to the answer's last byte, in this process.",
            ["method", "route"],
            registry=registry,
            buckets=_DURATIONS,
        )
        self._callbacks = Counter(
            "palette_callbacks",
            "Reports of the handler to this process: processed, repeated, or refused with a code.",
            ["outcome", "code"],
            registry=registry,
        )
        self._submits = Counter(
            "palette_dispatch_submits",
            "What came of handing dispatches to Runpod, in this process.",
            ["outcome"],
            registry=registry,
        )
        self._begins = Histogram(
            "palette_dispatch_begin_seconds",
            "From Runpod taking an attempt to its first sign of work, where this process saw it.",
            registry=registry,
            buckets=_BEGINNINGS,
        )
        self._lost = Counter(
            "palette_attempts_lost",
            "Attempts that this process found lost; then another follows, or the rest is refunded.",
            ["reason", "then"],
            registry=registry,
        )
        self._steps = Counter(
            "palette_background_failures",
            "Steps of background loops that raised, in this process.",
            ["loop"],
            registry=registry,
        )
        self._lag = Histogram(
            "palette_event_loop_lag_seconds",
            "How late this process comes to what is due, twice a second.",
            registry=registry,
            buckets=_LAGS,
        )
        for outcome in Submit:
            self._submits.labels(outcome)
        for outcome in ("processed", "repeated"):
            self._callbacks.labels(outcome, "")

    def observe_request(
        self, method: str, template: str | None, status: int, seconds: float
    ) -> None:
        """`template` is None where no route matched, `status` 0 where no answer was begun."""
        route = UNMATCHED if template is None else template
        known = method if method in _METHODS else UNMATCHED
        self._requests.labels(known, route, str(status or "none")).inc()
        self._durations.labels(known, route).observe(seconds)

    def observe_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def count_callback(self, outcome: str, code: str = "") -> None:
        """`code` is that of the error which the handler was answered with."""
        self._callbacks.labels(outcome, code).inc()

    def count_submit(self, outcome: Submit) -> None:
        self._submits.labels(outcome).inc()
        if outcome in {Submit.REFUSED, Submit.GIVEN_UP}:
            # What Runpod answered is no label: the log has it.
            self.count_lost(Lost("not dispatched", again=False))

    def observe_begin(self, seconds: float | None) -> None:
        """None where it was no first sign, or nobody knows when Runpod took the attempt."""
        if seconds is not None:
            self._begins.observe(seconds)

    def count_lost(self, lost: Lost | None) -> None:
        """None where there was nothing left to lose."""
        if lost is not None:
            then = "another" if lost.again else "given_up"
            self._lost.labels(lost.reason.replace(" ", "_"), then).inc()

    def count_failed_step(self, loop: str) -> None:
        self._steps.labels(loop).inc()
