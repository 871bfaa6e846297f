"""The object store client against a real S3 API on loopback, and against servers that misbehave."""

import socket
import socketserver
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.store import ServedStore, serve_store
from shared.objects import (
    ObjectInfo,
    ObjectMissing,
    ObjectStore,
    ObjectTooLarge,
    StorageUnavailable,
)

SECRET = "canary-secret-0123456789"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServedStore]:
    with serve_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture(scope="module")
def store(served: ServedStore) -> ObjectStore:
    return client_of(served)


def client_of(served: ServedStore, **changed: str) -> ObjectStore:
    parts = {
        "endpoint": served.endpoint,
        "bucket": served.bucket,
        "access_key": served.access_key,
        "secret_key": served.secret_key,
    }
    return ObjectStore(**{**parts, **changed})


@contextmanager
def answering(answer: Callable[[int], bytes]) -> Generator[tuple[ObjectStore, list[str]]]:
    """A client of a server that sends `answer(n)` to its n-th request and hangs up."""
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode()
            while self.rfile.readline().strip():
                pass
            asked.append(line)
            self.wfile.write(answer(len(asked)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_address[1]}"
            yield ObjectStore(endpoint, "s3-images", "ak", SECRET), asked
        finally:
            server.shutdown()
            thread.join()


def response(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 700_001])
def test_what_is_put_comes_back(store: ObjectStore, body: bytes) -> None:
    store.put("round/trip.png", body, "image/png")
    assert store.get("round/trip.png", max_bytes=len(body)) == body
    info = store.head("round/trip.png")
    assert info is not None
    assert (info.key, info.size) == ("round/trip.png", len(body))
    assert store.list("round/trip.png") == [info]


def test_a_memoryview_is_stored_as_its_bytes(store: ObjectStore) -> None:
    strided = memoryview(bytes(range(100)))[::2]
    store.put("view", strided, "application/octet-stream")
    assert store.get("view", max_bytes=100) == bytes(range(0, 100, 2))


def test_more_than_the_limit_is_refused(store: ObjectStore) -> None:
    store.put("large", b"x" * 1001, "text/plain")
    assert len(store.get("large", max_bytes=1001)) == 1001
    with pytest.raises(ObjectTooLarge, match="1001 bytes, limit 1000"):
        store.get("large", max_bytes=1000)


def test_the_limit_holds_where_the_server_tells_no_length() -> None:
    endless = response("200 OK", b"x" * 600_000)
    with answering(lambda _: endless) as (store, asked), pytest.raises(ObjectTooLarge):
        store.get("liar", max_bytes=300_000)
    assert len(asked) == 1


def test_a_missing_object(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing, match=r"inputs/u/j/0\.jpg"):
        store.get("inputs/u/j/0.jpg", max_bytes=1)
    assert store.head("inputs/u/j/0.jpg") is None
    assert store.list("inputs/u/j/") == []


def test_deleting_is_silent_about_what_is_not_there(store: ObjectStore) -> None:
    store.put("gone/1", b"1", "text/plain")
    store.put("gone/2", b"2", "text/plain")
    store.delete([])
    store.delete(["gone/1", "gone/3"])
    assert [info.key for info in store.list("gone/")] == ["gone/2"]


def test_deletes_go_in_batches_of_a_thousand() -> None:
    done = response("200 OK", b"<DeleteResult/>", **{"Content-Length": "15"})
    with answering(lambda _: done) as (store, asked):
        store.delete([f"batch/{number}" for number in range(2001)])
    assert [line.split()[0] for line in asked] == ["POST"] * 3


def test_a_full_batch_is_deleted(store: ObjectStore) -> None:
    store.put("batch/999", b"", "text/plain")
    store.delete([f"batch/{number}" for number in range(1000)])
    assert store.list("batch/") == []


def test_a_listing_pages_through(tmp_path: Path) -> None:
    with serve_store(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "index.sqlite3") as index:
        index.executemany(
            "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)",
            [(f"k/{n:04d}".encode(), f"00/{n}", n, f"{n:032x}", b"{}", 0.0) for n in range(2300)],
        )
    index.close()
    with serve_store(tmp_path) as served:
        listed = client_of(served).list("k/")
        assert len(listed) == 2300
        assert listed[1234] == ObjectInfo("k/1234", 1234, f"{1234:032x}")
        assert [info.key for info in listed] == sorted(info.key for info in listed)
        assert len(client_of(served).list("k/10")) == 100


@pytest.mark.parametrize(
    "key", ["sp ace+plus%25.jpg", "ünï/日本.png", "a//b", "q?x=1&y=2#f", "<&>"]
)
def test_odd_keys(store: ObjectStore, key: str) -> None:
    store.put(key, key.encode(), "text/plain")
    assert store.get(key, max_bytes=100) == key.encode()
    assert [info.key for info in store.list(key)] == [key]
    store.delete([key])
    assert store.head(key) is None


def test_threads_share_one_store(store: ObjectStore) -> None:
    def there_and_back(number: int) -> bytes:
        store.put(f"thread/{number}", f"{number}".encode() * 1000, "text/plain")
        return store.get(f"thread/{number}", max_bytes=10_000)

    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(there_and_back, range(32)))
    assert got == [f"{number}".encode() * 1000 for number in range(32)]


def test_ready_says_what_is_wrong(served: ServedStore, store: ObjectStore) -> None:
    store.ready()
    for changed in ({"bucket": "other"}, {"secret_key": SECRET}, {"access_key": "canary-nobody"}):
        with pytest.raises(StorageUnavailable, match="open bucket") as refused:
            client_of(served, **changed).ready()
        assert not refused.value.retryable
        assert "canary" not in str(refused.value)


def test_wrong_credentials_are_not_taken_for_a_missing_object(served: ServedStore) -> None:
    store = client_of(served, secret_key=SECRET)
    for call in (
        lambda: store.get("k", max_bytes=1),
        lambda: store.head("k"),
        lambda: store.put("k", b"", "text/plain"),
        lambda: store.list("k"),
        lambda: store.delete(["k"]),
    ):
        with pytest.raises(StorageUnavailable, match="403") as refused:
            call()
        assert not refused.value.retryable


def test_a_missing_bucket_is_not_a_missing_object(served: ServedStore) -> None:
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        client_of(served, bucket="other").get("k", max_bytes=1)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = ObjectStore(f"http://127.0.0.1:{port}", "s3-images", "ak", SECRET)
    with pytest.raises(StorageUnavailable, match="list some/prefix: Endpoint") as failed:
        store.list("some/prefix")
    assert failed.value.retryable
    assert "?" not in str(failed.value)
    assert "list-type" not in str(failed.value)


def test_a_passing_fault_of_the_server_is_tried_again() -> None:
    def answer(number: int) -> bytes:
        if number == 1:
            return response("503 Slow Down")
        return response("200 OK", b"whole", **{"Content-Length": "5"})

    with answering(answer) as (store, asked):
        assert store.get("k", max_bytes=5) == b"whole"
    assert len(asked) == 2


def test_a_lasting_fault_of_the_server_may_be_retried_later() -> None:
    with answering(lambda _: response("503 Slow Down")) as (store, asked):
        with pytest.raises(StorageUnavailable, match="HTTP 503") as failed:
            store.get("k", max_bytes=5)
        assert failed.value.retryable
    assert len(asked) == 3


def test_a_body_that_breaks_off_is_read_again() -> None:
    broken = response("200 OK", b"hal", **{"Content-Length": "5"})
    whole = response("200 OK", b"whole", **{"Content-Length": "5"})
    with answering(lambda number: whole if number == 3 else broken) as (store, asked):
        assert store.get("k", max_bytes=5) == b"whole"
    assert len(asked) == 3
    with answering(lambda _: broken) as (store, asked):
        with pytest.raises(StorageUnavailable, match="get k") as failed:
            store.get("k", max_bytes=5)
        assert failed.value.retryable
    assert len(asked) == 3


def test_refused_deletes_are_not_passed_over() -> None:
    document = (
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code>"
        b"<Message>m</Message></Error></DeleteResult>"
    )
    answer = response("200 OK", document, **{"Content-Length": str(len(document))})
    with answering(lambda _: answer) as (store, _), pytest.raises(StorageUnavailable) as failed:
        store.delete(["a", "b"])
    assert "1 refused, first a (AccessDenied)" in str(failed.value)


def test_an_impossible_request_is_not_retryable(store: ObjectStore) -> None:
    with pytest.raises(StorageUnavailable, match="ParamValidationError") as refused:
        store.head("")
    assert not refused.value.retryable


def test_no_secret_in_repr() -> None:
    shown = repr(ObjectStore("http://127.0.0.1:1", "s3-images", "canary-key", SECRET))
    assert "canary" not in shown
    assert "s3-images" in shown


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    served: ServedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client_of(served).ready()
