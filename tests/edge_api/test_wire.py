"""Odd requests as bytes on a real connection: every one gets an answer, and the server lives on."""

import logging
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.edge_api.phone import Phone
from tests.edge_api.service import Service


@pytest.fixture
def phone(served_service: Service) -> Phone:
    return served_service.phone()


def chunks(count: int, size: int = 10_000) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize("path", ["/jobs", "/rules", "/auth/anon", "/jobs/job_x/callback"])
def test_a_chunked_body_that_is_too_large(served_service: Service, phone: Phone, path: str) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {phone.token}"}
    response = served_service.api.post(path, content=chunks(40), headers=headers)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


def test_a_chunked_body_that_fits(served_service: Service) -> None:
    body = iter([b'{"device_', b'hash": "chun', b'ked"}'])
    headers = {"Content-Type": "application/json"}
    response = served_service.api.post("/auth/anon", content=body, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("call", ["confirm-upload", "cancel"])
def test_a_large_body_that_nobody_reads(served_service: Service, phone: Phone, call: str) -> None:
    job_id = phone.created_job(1)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {phone.token}"}
    path = f"/jobs/{job_id}/{call}"
    response = served_service.api.post(path, content=b" " * 3_000_000, headers=headers)
    assert response.status_code in {200, 413}
    assert served_service.api.get("/health").status_code == 200


def exchange(service: Service, request: bytes) -> bytes:
    """The first bytes of the answer, empty where the server closed without one."""
    address = urlsplit(str(service.api.base_url))
    with socket.create_connection((address.hostname or "", address.port or 0), 5) as connection:
        connection.sendall(request)
        connection.settimeout(5)
        return connection.recv(65536)


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /jobs/%FF%FE HTTP/1.1",
        b"GET /jobs/\xff\xfe HTTP/1.1",
        b"GET /jobs?limit=%FF HTTP/1.1",
        b"GET //health HTTP/1.1",
        b"GET http://evil.test/health HTTP/1.1",
        b"GET /jobs/%0d%0aX-Evil:1 HTTP/1.1",
        b"FROB /jobs HTTP/1.1",
        b"GET /../../etc/passwd HTTP/1.1",
    ],
)
def test_an_odd_request_line(served_service: Service, phone: Phone, request_line: bytes) -> None:
    head = [
        request_line,
        b"Host: api.test",
        b"Authorization: Bearer " + phone.token.encode(),
        b"X-Request-ID: \xff\xff\xff\xff\xff\xff\xff\xff",
        b"Connection: close",
    ]
    answer = exchange(served_service, b"\r\n".join([*head, b"", b""]))
    assert answer.startswith(b"HTTP/1.1 ")
    assert not answer.startswith(b"HTTP/1.1 5")
    assert b"x-evil" not in answer.lower().split(b"\r\n\r\n")[0]
    assert b"Traceback" not in answer


def test_a_phone_that_hangs_up_early_breaks_nothing(
    served_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    address = urlsplit(str(served_service.api.base_url))
    for _ in range(5):
        with socket.create_connection((address.hostname or "", address.port or 0), 5) as lost:
            lost.sendall(
                b"POST /auth/anon HTTP/1.1\r\nHost: api.test\r\n"
                b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
            )
    assert served_service.api.get("/health").status_code == 200
    served_service.assert_balanced()
    deadline = time.monotonic() + 5
    while sum("/auth/anon" in vars(r).get("path", "") for r in caplog.records) < 5:
        assert time.monotonic() < deadline, "the requests did not end"
        time.sleep(0.01)
    # It happens all day on a mobile network: nothing that anybody should be woken for.
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []
