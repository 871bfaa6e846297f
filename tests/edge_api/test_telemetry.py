"""Traces for whoever asks for them, and log lines that can be joined without."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from edge_api import otel
from edge_api.settings import Settings
from edge_api.telemetry import UNTRACED, start_tracing
from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher
from infra.local.store import ServedStore
from shared.logs import JsonLines
from shared.messages import JobMessage
from tests.edge_api.conftest import EAGER, StartService
from tests.edge_api.runpod_double import PATIENCE
from tests.edge_api.service import Service, environment
from tests.gpu_handler.conftest import SECRET, Lab, RecordingApi

Json = dict[str, Any]

ONCE = pytest.mark.parametrize("database_kind", ["sqlite"])
"""Nothing here depends on the database."""

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """An OTLP collector: keeps the spans that are sent to it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._spans: list[Json] = []
        self.paths: set[str] = set()
        self.resources: list[Json] = []

    def take(self, path: str, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.paths.add(path)
            for resource in request.resource_spans:
                self.resources.append(_values(resource.resource.attributes))
                for scope in resource.scope_spans:
                    self._spans += [_span(span) for span in scope.spans]
            self._changed.notify_all()

    def wait_for(self, name: str) -> Json:
        """The first span of that name."""
        with self._changed:

            def found() -> list[Json]:
                return [span for span in self._spans if span["name"] == name]

            seen = [span["name"] for span in self._spans]
            assert self._changed.wait_for(found, PATIENCE), f"no {name} in {seen}"
            return found()[0]

    def names(self) -> set[str]:
        with self._changed:
            return {span["name"] for span in self._spans}


def _values(attributes: Any) -> Json:
    return {one.key: one.value.string_value or one.value.int_value for one in attributes}


def _span(span: Any) -> Json:
    return {
        "name": span.name,
        "trace": span.trace_id.hex(),
        "parent": span.parent_span_id.hex(),
        "failed": span.status.code == 2,
        "events": len(span.events),
        **_values(span.attributes),
    }


@contextmanager
def collecting() -> Generator[tuple[str, Collector]]:
    collector = Collector()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", collector
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, str], Collector]]:
    """Variables that ask for traces, and where the traces go: before the service, so that it is
    there until that has ended."""
    with collecting() as (address, collector):
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_SERVICE_NAME": "palette-test",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)  # the SDK reads them by itself
        yield variables, collector


@pytest.fixture
def logged() -> Generator[StringIO]:
    """What is written while the test runs, as the processes would write it."""
    output = StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield output
    root.setLevel(level)
    root.removeHandler(handler)


def lines(output: StringIO, message: str) -> list[Json]:
    written = [json.loads(line) for line in output.getvalue().splitlines()]
    return [line for line in written if line["message"] == message]


def wait_for_line(output: StringIO, message: str) -> Json:
    deadline = time.monotonic() + PATIENCE
    while not (found := lines(output, message)):
        assert time.monotonic() < deadline, f"never logged: {message}"
        time.sleep(0.01)
    return found[0]


@ONCE
def test_spans_of_a_job_s_whole_way(
    asked: tuple[dict[str, str], Collector], start: StartService, logged: StringIO
) -> None:
    variables, collector = asked
    service = start(intervals=EAGER, **variables)
    phone = service.phone()
    job_id = phone.queued_job(1)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert phone.call("GET", f"/jobs/{job_id}?secret=canary", headers=headers).status_code == 200
    assert service.api.get("/health").status_code == 200

    request = collector.wait_for("GET /jobs/{job_id}")
    assert (request["trace"], request["parent"]) == (TRACE, PARENT)
    assert request["http.response.status_code"] == 200
    assert request["palette.job_id"] == job_id
    submit = collector.wait_for("dispatch submit")
    assert submit["palette.job_id"] == job_id
    assert submit["palette.outcome"] == "submitted"
    assert submit["palette.attempt"] == 1
    message = service.runpod.wait_for_run(job_id)
    assert submit["palette.dispatch_id"] == message["dispatch_id"]
    service.change("UPDATE dispatches SET next_at = 0")
    look = collector.wait_for("reconcile look")
    assert look["palette.dispatch_id"] == message["dispatch_id"]
    # The handler sends it back with its callbacks, which go on with the dispatch's trace.
    sent = {"traceparent": message["traceparent"]}
    worker = service.worker(job_id)
    assert worker.send(worker.result(0, "failed"), headers=sent).status_code == 200
    callback = collector.wait_for("POST /jobs/{job_id}/callback")
    assert callback["trace"] == submit["trace"]
    assert message["traceparent"].split("-")[1:3] == [submit["trace"], callback["parent"]]

    assert collector.paths == {"/v1/traces"}
    assert all(one["service.name"] == "palette-test" for one in collector.resources)
    assert "canary" not in str(request)
    assert not [name for name in collector.names() if "health" in name]
    line = next(x for x in lines(logged, "request") if x.get("trace_id") == TRACE)
    assert (line["job_id"], line["request_id"]) == (job_id, request["palette.request_id"])
    assert wait_for_line(logged, "job dispatched")["trace_id"] == submit["trace"]


@ONCE
def test_a_request_that_fails_is_a_failed_span_without_its_text(
    asked: tuple[dict[str, str], Collector], start: StartService
) -> None:
    variables, collector = asked
    service = start(**variables)
    service.change("ALTER TABLE users RENAME TO users_gone")
    assert service.api.post("/auth/anon").status_code == 500
    service.change("ALTER TABLE users_gone RENAME TO users")
    span = collector.wait_for("POST /auth/anon")
    assert span["failed"]
    assert span["events"] == 0
    assert "users" not in str(span)


@ONCE
def test_a_traceparent_that_makes_no_sense_is_ignored(
    asked: tuple[dict[str, str], Collector], start: StartService
) -> None:
    variables, collector = asked
    service = start(**variables)
    for sent in ("00-zz-yy-01", f"ff-{TRACE}-{PARENT}-01", "0" * 5000, "\x7f"):
        assert service.api.get("/docs", headers={"traceparent": sent}).status_code == 200
    span = collector.wait_for("GET /docs")
    assert span["trace"] != TRACE
    assert span["parent"] == ""


def test_a_collector_that_is_gone_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    monkeypatch.setattr(otel, "PATIENCE", 0.2)
    tracing = start_tracing(True, "1.0")
    with tracing.serve("GET", {}):
        pass
    began = time.monotonic()
    tracing.close()
    assert time.monotonic() - began < 1.5
    for thread in threading.enumerate():
        if thread.name == "traces":
            thread.join(10)


PROBE = """
import os, sys
from edge_api.asgi import create_app
from edge_api.settings import Settings
create_app(Settings.from_env(os.environ))
# Litestar itself imports the bare API wherever that is installed.
print(*sorted({"edge_api.asgi", "edge_api.otel", "opentelemetry.sdk"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("variables", "loaded"),
    [
        ({}, ["edge_api.asgi"]),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
            ["edge_api.asgi", "edge_api.otel", "opentelemetry.sdk"],
        ),
    ],
)
def test_it_is_imported_only_where_it_is_asked_for(
    store: ServedStore, tmp_path: Path, variables: dict[str, str], loaded: list[str]
) -> None:
    environ = environment(store, f"sqlite:///{tmp_path / 'edge.db'}") | variables
    probe = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert probe.stdout.split() == loaded


@pytest.mark.parametrize(
    ("variables", "tracing"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "palette"}, False),
    ],
)
def test_what_counts_as_asking(
    store: ServedStore, variables: dict[str, str], tracing: bool
) -> None:
    settings = Settings.from_env(environment(store, "sqlite:///edge.db") | variables)
    assert settings.tracing is tracing


def test_where_it_is_asked_for_and_missing_the_service_runs_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "edge_api.otel", None)  # as if it could not be imported
    assert start_tracing(True, "1.0") is UNTRACED
    assert [record.getMessage() for record in caplog.records] == [
        "no traces: install the extra 'otel'"
    ]


@ONCE
def test_lines_of_api_and_handler_are_joined_by_their_ids(
    start: StartService, logged: StringIO
) -> None:
    """From a request over the dispatch to the handler and back, without any tracing."""
    service = start(intervals=EAGER, GPU_CALLBACK_SECRET=SECRET)
    phone = service.phone()
    job_id = phone.queued_job(1)
    message = service.runpod.wait_for_run(job_id)
    dispatched = wait_for_line(logged, "job dispatched")
    handle(message, dispatched["runpod_job_id"], service)

    executed = next(x for x in lines(logged, "request") if x["path"].endswith("/execute"))
    begun = wait_for_line(logged, "job begins: 1 items, attempt 1")
    ended = wait_for_line(logged, "item 0 failed")
    told = next(x for x in lines(logged, "request") if x["path"].endswith("/callback"))
    assert {x["job_id"] for x in (executed, dispatched, begun, ended, told)} == {job_id}
    for line in (dispatched, begun, ended, told):
        assert (line["dispatch_id"], line["attempt"]) == (message["dispatch_id"], 1)
    created = next(x for x in lines(logged, "request") if x["path"] == "/jobs")
    assert created["job_id"] == job_id
    # The request that executed the job, in every program.
    story = (executed, dispatched, begun, ended, told)
    assert {x["request_id"] for x in story} == {message["request_id"]}
    # Runpod's id is one attempt: the API's line gives it beside the dispatch.
    assert begun["runpod_job_id"] == dispatched["runpod_job_id"]


class Post(RecordingApi):
    """Brings the handler's callbacks to the service."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._api = service.api

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path, headers = request.url.path, dict(request.headers)
        return httpx.Response(
            self._api.post(path, content=request.content, headers=headers).status_code
        )


def handle(message: Json, runpod_job_id: str, service: Service) -> None:
    """Have the real handler work on it; its photo is not there, which it reports."""

    async def run() -> Json:
        async with Lab(api=Post(service)).worker() as worker:
            payload = msgspec.to_builtins(msgspec.convert(message, JobMessage))
            handler = make_handler(worker, Fetcher())
            return await handler({"id": runpod_job_id, "input": payload})

    assert asyncio.run(run())["items"][0]["status"] == "failed"
