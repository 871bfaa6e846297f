"""How the store treats a connection: bodies that lie about their length, and refusals in time."""

import asyncio
import socket
import time
from collections.abc import Generator
from urllib.parse import urlsplit

import pytest

from infra.local.store import ServedStore, serve_store
from infra.local.store.http import Disconnected, Event, Request, unescape
from infra.local.store.refusals import Refusal
from shared.presign import Presigner

CHUNK = 600_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServedStore]:
    with serve_store(tmp_path_factory.mktemp("store")) as store:
        yield store


def request(length: str | None, chunks: int, *, gone: bool = False) -> Request:
    """A request whose server hands over that many chunks, and then perhaps loses the client."""
    headers = [] if length is None else [(b"Content-Length", length.encode())]
    scope = {"method": "PUT", "raw_path": b"/b/k", "query_string": b"", "headers": headers}
    left = iter(range(chunks, 0, -1))

    async def receive() -> Event:
        number = next(left, 0)
        if number == 0:
            return {"type": "http.disconnect"}
        more = gone or number > 1
        return {"type": "http.request", "body": b"x" * CHUNK, "more_body": more}

    return Request(scope, receive)


async def read(request: Request, limit: int) -> list[int]:
    return [len(piece) async for piece in request.body(limit)]


def test_a_body_comes_in_pieces_of_its_announced_length() -> None:
    assert asyncio.run(read(request(str(3 * CHUNK), 3), 10**7)) == [2 * CHUNK, CHUNK]
    assert asyncio.run(read(request("0", 0), 10**7)) == []


@pytest.mark.parametrize(
    ("length", "refusal"),
    [
        (str(3 * CHUNK + 1), "IncompleteBody"),
        (str(3 * CHUNK - 1), "IncompleteBody"),
        (str(10**7 + 1), "EntityTooLarge"),
        ("9" * 30, "BadRequest"),
        ("-1", "BadRequest"),
        ("5,5", "BadRequest"),
        (None, "MissingContentLength"),
    ],
)
def test_a_length_that_does_not_hold_is_refused(length: str | None, refusal: str) -> None:
    with pytest.raises(Refusal, match=refusal):
        asyncio.run(read(request(length, 3), 10**7))


def test_a_client_that_went_away() -> None:
    with pytest.raises(Disconnected):
        asyncio.run(read(request(str(9 * CHUNK), 3, gone=True), 10**7))
    assert not asyncio.run(request(str(9 * CHUNK), 3, gone=True).discard_body())
    assert asyncio.run(request(str(3 * CHUNK), 3).discard_body())
    assert not asyncio.run(request(str(10**9), 3).discard_body())


@pytest.mark.parametrize("text", ["%", "%2", "%zz", "a%%20", "%-1"])
def test_an_escape_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="InvalidURI"):
        unescape(text)


def exchange(connection: socket.socket, sent: bytes) -> bytes:
    """Send, and return the next answer: head, and the body that its length announces."""
    connection.sendall(sent)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += received(connection)
    return head + b"\r\n\r\n" + body


def received(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    assert piece, "closed before the answer was complete"
    return piece


def test_a_refusal_leaves_the_connection_usable_or_closes_it(served: ServedStore) -> None:
    address = urlsplit(served.endpoint)
    signer = Presigner(served.endpoint, served.bucket, served.access_key, "wrong")
    target = signer.put("k", now=time.time()).removeprefix(served.endpoint)
    head = f"PUT {target} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 300000\r\n"
    with socket.create_connection(("127.0.0.1", address.port or 0), timeout=10) as connection:
        for _ in range(2):
            answer = exchange(connection, head.encode() + b"\r\n" + b"x" * 300_000)
            assert answer.startswith(b"HTTP/1.1 403")
            assert b"connection: close" not in answer.lower()
        # The client waits for leave to send its body, gets none, and so never sends it: what
        # came next on this connection would be taken for that body.
        answer = exchange(connection, head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"connection: close" in answer.lower()
        assert connection.recv(1) == b""
