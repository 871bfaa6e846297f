"""Callbacks against a local server that fails, stalls, redirects and refuses."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import msgspec
import pytest

from gpu_handler.callback import (
    CallbackClient,
    CallbackUrlRefused,
    Delivery,
    RetryPlan,
    Superseded,
    check_callback_url,
)
from shared.messages import ItemResult, ItemStatus
from shared.signing import verify
from tests.gpu_handler.conftest import SECRET

QUICK = RetryPlan(tries=3, first=0.01)


class Asked(msgspec.Struct):
    """One request that the server saw, and when."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


Answer = tuple[int, dict[str, str]]


@contextmanager
def api(answer: Callable[[int], Answer | None]) -> Generator[tuple[str, list[Asked]]]:
    """A server that gives `answer(n)` to its n-th request; None is silence until the end."""
    asked: list[Asked] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.path, headers, body, time.monotonic()))
            given = answer(len(asked))
            if given is None:
                over.wait(5)
                return
            self.send_response(given[0])
            for name, value in {**given[1], "content-length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jobs/job-1/callback", asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def result(idx: int = 0) -> ItemResult:
    return ItemResult(
        idx=idx,
        status=ItemStatus.DONE,
        idempotency_key=f"job-1:{idx}:attempt2",
        dispatch_id="dispatch-1",
        attempt=2,
        runpod_job_id="runpod-1",
        output_key="outputs/u/job-1/0_result.png",
    )


def send(url: str, retry: RetryPlan = QUICK, timeout: float = 2.0) -> Delivery:
    async def go() -> Delivery:
        async with httpx.AsyncClient(trust_env=False) as client:
            callbacks = CallbackClient(client, SECRET, timeout=timeout, retry=retry)
            return await callbacks.send(url, result())

    return asyncio.run(go())


def test_result_arrives_signed_as_json() -> None:
    with api(lambda n: (200, {})) as (url, asked):
        assert send(url) is Delivery.ACCEPTED

    (request,) = asked
    assert request.path == "/jobs/job-1/callback"
    assert request.headers["content-type"] == "application/json"
    assert msgspec.json.decode(request.body, type=ItemResult) == result()
    message_id = verify([SECRET], request.headers, request.body, now=time.time())
    assert message_id == "job-1:0:attempt2"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_accepted(status: int) -> None:
    with api(lambda n: (status, {})) as (url, asked):
        assert send(url) is Delivery.ACCEPTED
    assert len(asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_failure_is_tried_again_under_the_same_id(status: int) -> None:
    with api(lambda n: (status, {}) if n < 3 else (200, {})) as (url, asked):
        assert send(url) is Delivery.ACCEPTED

    assert len(asked) == 3
    assert {request.headers["webhook-id"] for request in asked} == {"job-1:0:attempt2"}
    assert len({request.body for request in asked}) == 1


def test_failure_that_lasts_is_given_up_with_a_log_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with api(lambda n: (503, {})) as (url, asked):
        assert send(url) is Delivery.GIVEN_UP

    assert len(asked) == 3
    assert "item 0 given up after 3 tries" in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 413, 422])
def test_final_refusal_is_not_repeated_and_no_redirect_followed(status: int) -> None:
    with (
        api(lambda n: (200, {})) as (elsewhere, reached),
        api(lambda n: (status, {"location": elsewhere})) as (url, asked),
    ):
        assert send(url) is Delivery.GIVEN_UP

    assert len(asked) == 1
    assert reached == []


def test_conflict_means_that_the_attempt_is_over() -> None:
    with api(lambda n: (409, {})) as (url, asked), pytest.raises(Superseded):
        send(url)
    assert len(asked) == 1


def test_silence_counts_as_a_failure_after_the_timeout() -> None:
    with api(lambda n: None if n == 1 else (200, {})) as (url, asked):
        started = time.monotonic()
        assert send(url, timeout=0.2) is Delivery.ACCEPTED
        assert 0.2 <= time.monotonic() - started < 2
    assert len(asked) == 2


def test_nobody_listening_is_tried_again_then_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    assert send(f"http://127.0.0.1:{port}/callback") is Delivery.GIVEN_UP


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_up_to_the_longest_wait(form: str) -> None:
    later = datetime.now(UTC) + timedelta(seconds=600)
    value = "1" if form == "seconds" else format_datetime(later, usegmt=True)
    retry = RetryPlan(tries=2, first=0.01, longest=0.3)
    with api(lambda n: (503, {"retry-after": value}) if n == 1 else (200, {})) as (url, asked):
        assert send(url, retry) is Delivery.ACCEPTED

    assert 0.3 <= asked[1].at - asked[0].at < 1


@pytest.mark.parametrize("value", ["", "soon", "-5", "٣", "Wed, 21 Oct 2015 07:28:00 GMT", "1e9"])
def test_useless_retry_after_changes_nothing(value: str) -> None:
    headers = {"retry-after": value} if value.isascii() else {}
    with api(lambda n: (503, headers) if n == 1 else (200, {})) as (url, asked):
        assert send(url) is Delivery.ACCEPTED
    assert len(asked) == 2


def test_five_tries_take_about_twenty_seconds() -> None:
    plan = RetryPlan()
    total = sum(plan.wait(tried, None) for tried in range(1, plan.tries))

    assert plan.tries == 5
    assert 14 <= total <= 25


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/callback",
        "ftp://api.example.com/callback",
        "file:///etc/passwd",
        "http:///callback",
        "http://user:password@api.example.com/callback",
        "http://[::1",
        "https://other.example.com/callback",
        "https://api.example.com.evil.com/callback",
        "https://evil.com/api.example.com",
    ],
)
def test_callback_url_outside_the_allowed_hosts_is_refused(url: str) -> None:
    with pytest.raises(CallbackUrlRefused) as refusal:
        check_callback_url(url, frozenset({"api.example.com"}))
    assert "password" not in str(refusal.value).replace("a user name or password", "")


@pytest.mark.parametrize("url", ["https://API.example.com:8443/x", "http://api.example.com/"])
def test_callback_url_of_an_allowed_host_passes(url: str) -> None:
    check_callback_url(url, frozenset({"api.example.com"}))


def test_any_host_passes_where_none_is_listed() -> None:
    check_callback_url("http://127.0.0.1:8787/jobs/1/callback", frozenset())


def test_where_it_must_be_encrypted_nothing_goes_over_plain_http() -> None:
    hosts = frozenset({"api.example.com"})
    check_callback_url("https://api.example.com/x", hosts, encrypted=True)
    with pytest.raises(CallbackUrlRefused, match="https"):
        check_callback_url("http://api.example.com/x", hosts, encrypted=True)


@pytest.mark.parametrize("location", ["javascript:alert(1)", "data:,x", "https://xn--/"])
def test_redirect_to_what_is_no_url_is_no_crash(location: str) -> None:
    with api(lambda n: (302, {"location": location})) as (url, _):
        assert send(url) is Delivery.GIVEN_UP
