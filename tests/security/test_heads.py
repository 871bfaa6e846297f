"""What comes around a body, as bytes to the service as an operator starts it."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from edge_api.serving import MAX_HEAD
from edge_api.storage.migrate import upgrade
from infra.local.store import ServedStore
from tests.edge_api.service import environment
from tests.edge_api.test_logs import serving

ENDLESS = 32 * 1024 * 1024
"""Bytes, more than the buffers on the way hold: who is not stopped gets rid of all of them."""

CHUNKED = (
    b"POST /auth/anon HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)

BEGINNINGS: dict[str, tuple[bytes, bytes]] = {
    "address": (b"GET /", b"a"),
    "header": (b"GET /health HTTP/1.1\r\nX: ", b"a"),
    "headers": (b"GET /health HTTP/1.1\r\n", b"X: 1\r\n"),
    "extension of a chunk": (CHUNKED + b"2;x=", b"a"),
    "trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"a"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: 1\r\n"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.fixture(scope="module")
def base(store: ServedStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("heads")
    url = f"sqlite:///{folder / 'edge.db'}"
    upgrade(url)
    # What uvicorn itself would read; our own TRUSTED_PROXIES is empty.
    more = {"SIGNUPS_PER_HOUR": "3", "FORWARDED_ALLOW_IPS": "*"}
    with serving(environment(store, url) | more, folder) as (address, _):
        yield address


def connect(base: str) -> socket.socket:
    address = httpx.URL(base)
    return socket.create_connection((address.host, address.port or 0), 10)


def answer(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


@pytest.mark.parametrize("what", BEGINNINGS)
def test_what_has_no_end_is_cut_off(base: str, what: str) -> None:
    beginning, piece = BEGINNINGS[what]
    with connect(base) as connection:
        connection.sendall(beginning)
        with pytest.raises(ConnectionError):
            connection.sendall(piece * (ENDLESS // len(piece)))
    assert httpx.get(f"{base}/health", trust_env=False).is_success


def test_who_sends_too_much_of_a_head_is_told(base: str) -> None:
    told = b""
    with connect(base) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nX: ")
        connection.settimeout(0.02)
        for _ in range(4 * MAX_HEAD // 4096):
            connection.sendall(b"a" * 4096)
            with suppress(TimeoutError):
                told = connection.recv(65536)
                break
    assert told.startswith(b"HTTP/1.1 431 ")


def test_a_large_head_a_large_body_and_small_chunks_are_none_of_these(base: str) -> None:
    body = b" " * 200_000 + b"{}"
    size, step = len(body), 5000
    pieces = iter([body[at : at + step] for at in range(0, size, step)])
    headers = {"Content-Type": "application/json", "X-Large": "a" * (MAX_HEAD - 2000)}
    with httpx.Client(base_url=base, headers=headers, trust_env=False) as api:
        # Read to its end, because its signature would cover it.
        assert api.post("/jobs/job_1/callback", content=body).status_code == 403
        assert api.post("/jobs/job_1/callback", content=pieces).status_code == 403
        assert api.get("/health").is_success


def test_a_trailer_joins_no_request(base: str) -> None:
    """It would come behind what a proxy in front has looked at."""
    request = CHUNKED.replace(b"/auth/anon", b"/nope").replace(
        b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
    )
    with connect(base) as connection:
        connection.sendall(request + b"2\r\n{}\r\n0\r\nX-Request-ID: canary-1234\r\n\r\n")
        told = answer(connection)
    assert told.startswith(b"HTTP/1.1 404 ")
    assert b"canary" not in told


NAMES: tuple[str, ...] = (
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
)


def test_whom_a_header_names_counts_for_nothing(base: str) -> None:
    """Three accounts an hour for an address; the fourth is refused, whoever it says it is."""
    statuses: list[int] = []
    with httpx.Client(base_url=base, trust_env=False) as api:
        for last in range(4):
            told = dict.fromkeys(NAMES, f"203.0.113.{last}")
            statuses.append(api.post("/auth/anon", headers=told).status_code)
    assert statuses == [200, 200, 200, 429]
