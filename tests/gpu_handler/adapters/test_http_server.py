"""The HTTP adapter on a real port: keys, bodies, signals and exit statuses."""

import asyncio
import logging
import os
import signal
import threading

import httpx
import msgspec
import pytest

from gpu_handler.adapters.http import serve, take_jobs
from gpu_handler.adapters.http.app import RUN_BODY_LIMIT
from gpu_handler.adapters.http.server import listen
from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.worker import Worker
from gpu_handler.settings import Settings
from infra.local.ports import free_port
from tests.gpu_handler.adapters.http_counter import KEY, open_counter
from tests.gpu_handler.adapters.test_http_jobs import lose_device, run
from tests.gpu_handler.conftest import Lab, until
from tests.gpu_handler.test_settings import GIVEN

HEADERS = {"Authorization": f"Bearer {KEY}"}


def settings(port: int) -> Settings:
    http = {"ADAPTER": "http", "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(port)}
    return Settings.from_env({**GIVEN, **http, "HANDLER_API_KEY": KEY})


def caller(port: int) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(retries=5)  # until the server listens
    return httpx.AsyncClient(
        transport=transport, base_url=f"http://127.0.0.1:{port}", headers=HEADERS, trust_env=False
    )


WRONG = [None, "", f"Bearer {KEY[:-1]}", f"Basic {KEY}", KEY, "Bearer", "Bearer schlüssel"]


@pytest.mark.parametrize("authorization", WRONG)
def test_job_api_is_for_those_with_the_key_alone(lab: Lab, authorization: str | None) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            counter.http.headers.pop("authorization")
            headers = {} if authorization is None else {b"authorization": authorization.encode()}
            for method, path in [
                ("POST", "/v2/handler/run"),
                ("POST", "/v2/handler/runsync"),
                ("GET", "/v2/handler/status/1"),
                ("POST", "/v2/handler/cancel/1"),
                ("GET", "/v2/handler/health"),
            ]:
                answer = await counter.http.request(method, path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
                assert KEY not in answer.text
            assert (await counter.http.get("/health/live")).json() == {"status": "ok"}
            assert (await counter.http.get("/health/ready")).json() == {"status": "ok"}

    run(story())


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "INVALID_REQUEST"),
        (b"{}", 400, "missing required field `input`"),
        (b'{"input": [1]}', 400, "$.input"),
        (b'{"input": {}, "policy": {"ttl": 1}}', 400, "$.policy.ttl"),
        (b'{"input": {}, "policy": {"executionTimeout": "1"}}', 400, "$.policy.executionTimeout"),
        (b'{"input": {"a": "\xff"}}', 400, "INVALID_REQUEST"),
        (b'{"input": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, 400, "INVALID_REQUEST"),
        (b" " * (RUN_BODY_LIMIT + 1), 413, ""),
    ],
    ids=["empty", "no-input", "list", "ttl", "timeout", "utf-8", "deep", "large"],
)
def test_body_that_does_not_fit_is_refused_with_its_field(
    lab: Lab, body: bytes, status: int, told: str
) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            answer = await counter.http.post("/v2/handler/run", content=body)
            assert answer.status_code == status
            assert list(answer.json()) == ["error"]
            assert told in answer.json()["error"]
            assert counter.desk.health()["jobs"]["inProgress"] == 0

    run(story())


def test_runsync_answers_with_the_result_or_how_far_it_is(lab: Lab) -> None:
    lab.engine.gate = gate = threading.Event()

    async def story() -> None:
        async with open_counter(lab) as counter:
            body = {"input": msgspec.to_builtins(lab.job(1))}
            answer = await counter.http.post("/v2/handler/runsync?wait=1000", json=body)
            assert answer.json()["status"] == "IN_PROGRESS"
            gate.set()
            answer = await counter.http.post("/v2/handler/runsync", json=body)
            assert answer.json()["status"] == "COMPLETED"
            assert answer.json()["output"]["items"][0]["status"] == "done"

    run(story())


def test_unknown_path_is_json_too(lab: Lab) -> None:
    async def story() -> None:
        async with open_counter(lab) as counter:
            answer = await counter.http.get("/v2/handler/nothing")
            assert (answer.status_code, list(answer.json())) == (404, ["error"])

    run(story())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_a_job_end_its_photo_and_then_the_server(
    lab: Lab, number: signal.Signals
) -> None:
    lab.engine.gate = gate = threading.Event()

    async def story() -> None:
        listener = listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        async with lab.worker(1) as worker, caller(port) as http:
            serving = asyncio.create_task(take_jobs(settings(port), worker, Fetcher(), listener))
            body = {"input": msgspec.to_builtins(lab.job(3))}
            job_id = (await http.post("/v2/handler/run", json=body)).json()["id"]
            await until(lambda: lab.engine.calls == 1)

            os.kill(os.getpid(), number)

            await asyncio.sleep(0.3)
            job = (await http.get(f"/v2/handler/status/{job_id}")).json()
            assert job["status"] == "IN_PROGRESS", "callers may ask until the last job has ended"
            assert (await http.get("/health/ready")).status_code == 503
            gate.set()
            await serving
        assert len(lab.api.results) == 1

    run(story())


def test_process_without_a_device_leaves_with_a_status_that_says_so(lab: Lab) -> None:
    lab.engine.failing = lose_device
    port = free_port("127.0.0.1")
    left: list[object] = []

    def process(worker: Worker) -> None:
        try:
            serve(settings(port), worker, Fetcher())
        except SystemExit as end:
            left.append(end.code)

    async def story() -> None:
        async with lab.worker(1) as worker, caller(port) as http:
            # A daemon: one that never leaves is to fail this test and not to hang it.
            thread = threading.Thread(target=process, args=[worker], daemon=True)
            thread.start()
            body = {"input": msgspec.to_builtins(lab.job(2))}
            (await http.post("/v2/handler/run", json=body)).raise_for_status()
            await until(lambda: not thread.is_alive())

    run(story())
    assert left == [1]


def test_taken_port_is_named_and_ends_the_process(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with lab.worker(1) as worker:
            with listen("127.0.0.1", 0) as listener, pytest.raises(SystemExit) as left:
                serve(settings(listener.getsockname()[1]), worker, Fetcher())
            assert left.value.code == 1

    with caplog.at_level(logging.CRITICAL):
        run(story())
    assert "HTTP_PORT" in caplog.text
