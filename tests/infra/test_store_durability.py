"""The store as a process: what outlasts a restart and a kill, and when it does not start."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from infra.local.store import RefusedInProduction, create_store, serve_store
from infra.local.store.shelf import AlreadyServed, Shelf
from shared.presign import Presigner

ACCESS_KEY, SECRET_KEY = "local", "canary-secret-of-the-store"
ENVIRONMENT = {"STORE_ACCESS_KEY": ACCESS_KEY, "STORE_SECRET_KEY": SECRET_KEY}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def command(root: Path, port: int) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--root", str(root)]
    return [sys.executable, "-m", "infra.local.store", *where, "--bucket", "s3-images"]


@contextmanager
def process(root: Path, port: int, log: Path) -> Generator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        store = subprocess.Popen(
            command(root, port), env={**os.environ, **ENVIRONMENT}, stdout=out, stderr=out
        )
    try:
        wait_until(lambda: answers(port) or store.poll() is not None)
        yield store
    finally:
        store.kill()
        store.wait()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def presigner(port: int) -> Presigner:
    return Presigner(f"http://127.0.0.1:{port}", "s3-images", ACCESS_KEY, SECRET_KEY)


def test_a_killed_store_keeps_what_it_acknowledged_and_nothing_else(tmp_path: Path) -> None:
    root, log, port = tmp_path / "store", tmp_path / "log", free_port()
    signer, now = presigner(port), time.time()
    with process(root, port, log) as store:
        for number in range(5):
            url = signer.put(f"k/{number}", now=now)
            body = b"x" * number * 100_000
            assert httpx.put(url, content=body, headers={"content-type": "image/png"}).is_success
        with socket.create_connection(("127.0.0.1", port)) as upload:
            target = signer.put("k/0", now=now).partition(str(port))[2]
            head = f"PUT {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 9000000\r\n"
            upload.sendall(head.encode() + b"\r\n" + b"y" * 3_000_000)
            wait_until(lambda: any(root.glob("incoming/*")))
            store.kill()
            store.wait()
    assert any(root.glob("incoming/*"))
    (root / "objects" / "00").mkdir(exist_ok=True)
    (root / "objects" / "00" / "orphan").write_bytes(b"renamed, then killed before its row")
    with process(root, port, log) as store:
        for number in range(5):
            got = httpx.get(signer.get(f"k/{number}", now=now))
            assert got.content == b"x" * number * 100_000
            assert got.headers["content-type"] == "image/png"
        assert len(list(root.glob("objects/*/*"))) == 5
        assert not any(root.glob("incoming/*"))
        store.send_signal(signal.SIGTERM)
        assert store.wait(10) in (0, -signal.SIGTERM)
    written = log.read_text()
    assert "PUT /s3-images/k/4 200" in written
    assert "X-Amz" not in written
    assert SECRET_KEY not in written


def test_a_restart_keeps_urls_and_objects(tmp_path: Path) -> None:
    port, now = free_port(), time.time()
    signer = presigner(port)
    serve = partial(serve_store, tmp_path, port=port, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    with serve():
        assert httpx.put(signer.put("k", now=now), content=b"kept").is_success
    with serve() as served:
        assert httpx.get(signer.get("k", now=now)).content == b"kept"
        assert SECRET_KEY not in repr(served)


def test_a_url_ends_with_its_window(tmp_path: Path) -> None:
    moments = [1_700_000_000.0]
    with serve_store(tmp_path, clock=lambda: moments[-1]) as served:
        signer = Presigner(served.endpoint, served.bucket, served.access_key, served.secret_key)
        url = signer.put("k", now=moments[0])
        end = signer.expires_at(moments[0])
        for moment, status in [(end - 3600, 200), (end, 200), (end + 1, 403)]:
            moments.append(moment)
            assert httpx.put(url, content=b"x").status_code == status


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with pytest.raises(AlreadyServed):
        create_store(tmp_path, bucket="b", access_key="a", secret_key="s")
    shelf.close()
    create_store(tmp_path, bucket="b", access_key="a", secret_key="s").close()


def test_a_failed_write_leaves_the_old_object(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)

    def keep(body: bytes) -> None:
        upload = shelf.begin()
        upload.write(body)
        shelf.keep(upload, b"k", size=len(body), etag="e", headers={})
        upload.discard()

    keep(b"old")
    with closing(sqlite3.connect(tmp_path / "index.sqlite3")) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(sqlite3.DatabaseError, match="full"):
        keep(b"new")
    opened = shelf.open(b"k")
    assert opened is not None
    with opened[1] as file:
        assert file.read() == b"old"
    assert len(list(tmp_path.glob("objects/*/*"))) == 1
    shelf.close()


def test_a_fault_of_the_disk_is_an_error_not_a_crash(tmp_path: Path) -> None:
    with serve_store(tmp_path) as served:
        signer = Presigner(served.endpoint, served.bucket, served.access_key, served.secret_key)
        now = time.time()
        assert httpx.put(signer.put("k", now=now), content=b"x").is_success
        for path in tmp_path.glob("objects/*/*"):
            path.unlink()
        lost = httpx.get(signer.get("k", now=now))
        assert (lost.status_code, "InternalError" in lost.text) == (500, True)
        assert str(tmp_path) not in lost.text
        (tmp_path / "incoming").rmdir()
        unwritten = httpx.put(signer.put("k", now=now), content=b"x" * 3_000_000)
        assert (unwritten.status_code, "InternalError" in unwritten.text) == (500, True)
        (tmp_path / "incoming").mkdir()
        assert httpx.put(signer.put("k", now=now), content=b"again").is_success
        assert httpx.get(signer.get("k", now=now)).content == b"again"


@pytest.mark.parametrize("environment", ["production", " Production", "PROD"])
def test_not_in_production(tmp_path: Path, environment: str) -> None:
    with pytest.raises(RefusedInProduction):
        create_store(tmp_path, bucket="b", access_key="a", secret_key="s", environment=environment)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("bucket", "access_key", "secret_key"),
    [("", "a", "s"), ("a/b", "a", "s"), ("b", "", "s"), ("b", "a", "")],
)
def test_settings_that_cannot_be(
    tmp_path: Path, bucket: str, access_key: str, secret_key: str
) -> None:
    with pytest.raises(ValueError, match=r"key|bucket"):
        create_store(tmp_path, bucket=bucket, access_key=access_key, secret_key=secret_key)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"STORE_ACCESS_KEY": "a"}, "object store: STORE_SECRET_KEY is not set\n"),
        ({"STORE_SECRET_KEY": "s"}, "object store: STORE_ACCESS_KEY is not set\n"),
        ({**ENVIRONMENT, "ENV": "production"}, "object store: the embedded object store does not"),
    ],
)
def test_the_command_refuses_with_one_line(
    tmp_path: Path, environment: dict[str, str], line: str
) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STORE_")}
    ended = subprocess.run(
        command(tmp_path / "store", free_port()),
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(line)
    assert ended.stderr.count("\n") == 1
