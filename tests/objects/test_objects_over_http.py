"""What an object is over HTTP: its ETag, its conditions and parts, and that it is always whole."""

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.objects.differences import answer_of, answers_as_expected
from tests.objects.servers import Server

BODY = bytes(range(100))
WRITERS = 8


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def get(server: Server, key: str, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.get(server.url("GET", key), headers=sent)


def test_the_etag_is_the_md5_wherever_it_is_told(server: Server, folder: str) -> None:
    key = f"{folder}k"
    put = server.http.put(server.url("PUT", key), content=BODY)
    quoted = f'"{md5(BODY)}"'
    assert put.headers["etag"] == quoted
    assert get(server, key).headers["etag"] == quoted
    assert server.http.head(server.url("HEAD", key)).headers["etag"] == quoted
    assert [info.etag for info in server.store.list(folder)] == [md5(BODY)]


def test_a_swapped_object_is_not_what_was_confirmed(server: Server, folder: str) -> None:
    key = f"{folder}k"
    server.store.put(key, BODY, "image/jpeg")
    confirmed = f'"{md5(BODY)}"'
    assert get(server, key, if_match=confirmed).content == BODY
    server.store.put(key, BODY[::-1], "image/jpeg")
    swapped = get(server, key, if_match=confirmed)
    assert answer_of(swapped) == "412 PreconditionFailed"
    assert BODY[::-1] not in swapped.content
    assert get(server, key, if_match=f'"{md5(BODY[::-1])}"').content == BODY[::-1]


def test_what_the_client_has_is_not_sent_again(server: Server, folder: str) -> None:
    key = f"{folder}k"
    server.store.put(key, BODY, "image/jpeg")
    unchanged = get(server, key, if_none_match=f'"{md5(BODY)}"')
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert get(server, key, if_none_match='"other"').content == BODY


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", BODY[:10]),
        ("bytes=90-", BODY[90:]),
        ("bytes=90-1000", BODY[90:]),
        ("bytes=-7", BODY[-7:]),
        ("bytes=99-99", BODY[99:]),
    ],
)
def test_a_part(server: Server, folder: str, asked: str, part: bytes) -> None:
    server.store.put(f"{folder}k", BODY, "image/jpeg")
    got = get(server, f"{folder}k", range=asked)
    first = BODY.index(part)
    assert (got.status_code, got.content) == (206, part)
    assert got.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/100"
    assert got.headers["etag"] == f'"{md5(BODY)}"'


def test_parts_that_are_none(server: Server, folder: str) -> None:
    server.store.put(f"{folder}k", BODY, "image/jpeg")
    assert answer_of(get(server, f"{folder}k", range="bytes=100-")) == "416 InvalidRange"
    assert get(server, f"{folder}k", range="bytes=x-").content == BODY
    everything = get(server, f"{folder}k", range="bytes=0-999")
    assert everything.content == BODY
    assert answers_as_expected(server.name, "a range of all bytes", everything)


def test_an_empty_object_is_an_object(server: Server, folder: str) -> None:
    assert server.http.put(server.url("PUT", f"{folder}k"), content=b"").status_code == 200
    got = get(server, f"{folder}k")
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "0")
    assert [info.size for info in server.store.list(folder)] == [0]


def test_eight_megabytes(server: Server, folder: str) -> None:
    body = bytes(range(256)) * 32 * 1024
    put = server.http.put(server.url("PUT", f"{folder}k"), content=body)
    assert put.headers["etag"] == f'"{md5(body)}"'
    assert get(server, f"{folder}k").content == body
    assert get(server, f"{folder}k", range="bytes=8388600-").content == body[-8:]


@pytest.mark.parametrize(
    ("digest", "answer"),
    [
        (base64.b64encode(hashlib.md5(b"other").digest()).decode(), "400 BadDigest"),
        ("junk", "400 InvalidDigest"),
    ],
    ids=["of another body", "of nothing"],
)
def test_a_body_that_was_damaged_is_not_kept(
    server: Server, folder: str, digest: str, answer: str
) -> None:
    url = server.url("PUT", f"{folder}k")
    refused = server.http.put(url, content=BODY, headers={"content-md5": digest})
    assert answer_of(refused) == answer
    assert server.store.head(f"{folder}k") is None
    right = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    assert server.http.put(url, content=BODY, headers={"content-md5": right}).status_code == 200


def test_a_missing_object(server: Server, folder: str) -> None:
    assert answer_of(get(server, f"{folder}k")) == "404 NoSuchKey"
    assert server.http.delete(server.url("DELETE", f"{folder}k")).status_code == 204


def test_writing_once(server: Server, folder: str) -> None:
    url, once = server.url("PUT", f"{folder}k"), {"if-none-match": "*"}
    assert server.http.put(url, content=b"first", headers=once).status_code == 200
    second = server.http.put(url, content=b"second", headers=once)
    assert answer_of(second) == "412 PreconditionFailed"
    assert get(server, f"{folder}k").content == b"first"


def test_a_body_of_unknown_length(server: Server, folder: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (BODY, BODY)

    key = f"{folder}k"
    put = server.http.put(server.url("PUT", key), content=chunks())
    assert answers_as_expected(server.name, "a body of unknown length", put), answer_of(put)
    kept = server.store.get(key, max_bytes=1000) if server.store.head(key) else None
    assert kept == (BODY + BODY if put.is_success else None)


def test_an_upload_that_breaks_off_changes_nothing(server: Server, folder: str) -> None:
    for name, before in [("old", b"whole"), ("new", None)]:
        if before is not None:
            server.store.put(folder + name, before, "image/jpeg")
        target = server.url("PUT", folder + name).removeprefix(server.served.endpoint)
        with server.connection() as connection:
            connection.putrequest("PUT", target)
            connection.putheader("Content-Length", "1000000")
            connection.endheaders(b"x" * 300_000)
            assert connection.sock is not None
            connection.sock.shutdown(socket.SHUT_WR)
            while connection.sock.recv(65536):
                pass  # until the server has given up, too
    assert get(server, f"{folder}old").content == b"whole"
    assert [info.key for info in server.store.list(folder)] == [f"{folder}old"]


def test_racing_writers_leave_one_whole_version(server: Server, folder: str) -> None:
    key = f"{folder}k"
    bodies = [bytes([number]) * 300_000 for number in range(WRITERS)]
    server.store.put(key, bodies[0], "image/jpeg")
    start = threading.Barrier(WRITERS)

    def write(body: bytes) -> tuple[httpx.Response, bytes]:
        start.wait()
        put = server.http.put(server.url("PUT", key), content=body)
        return put, get(server, key).content

    with ThreadPoolExecutor(WRITERS) as threads:
        outcomes = list(threads.map(write, bodies))
    for put, read in outcomes:
        assert answers_as_expected(server.name, "a write in a race", put), answer_of(put)
        assert read in bodies
    left = server.store.get(key, max_bytes=300_000)
    assert left in bodies
    assert [(info.size, info.etag) for info in server.store.list(folder)] == [(300_000, md5(left))]
