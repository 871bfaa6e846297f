"""Serve a store with uvicorn: in the foreground, or in a thread of this process."""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from msgspec import Struct

from infra.local.store.app import Store, create_store

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class ServedStore(Struct, frozen=True):
    """Where a store listens and what opens it; the secret does not show in `repr`."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"ServedStore({self.endpoint!r}, bucket={self.bucket!r})"


@contextmanager
def serve_store(
    root: Path,
    *,
    bucket: str = "s3-images",
    access_key: str | None = None,
    secret_key: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Callable[[], float] = time.time,
) -> Generator[ServedStore]:
    """A store in a thread, on a free port unless one is given, until the context ends.

    Credentials that are not given are made up. Raises what `create_store` raises, and OSError
    where the port is taken.
    """
    access_key = access_key or secrets.token_hex(8)
    secret_key = secret_key or secrets.token_hex(32)
    with socket.create_server((host, port), backlog=128) as listener:
        store = create_store(
            root, bucket=bucket, access_key=access_key, secret_key=secret_key, clock=clock
        )
        endpoint = f"http://{host}:{listener.getsockname()[1]}"
        try:
            with _in_thread(uvicorn.Server(server_config(store)), listener):
                yield ServedStore(endpoint, bucket, access_key, secret_key)
        finally:
            store.close()


def server_config(store: Store, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    """uvicorn without its access log, which would write presigned queries down."""
    return uvicorn.Config(
        store,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        lifespan="on",
        ws="none",
        server_header=False,
        # Longer than clients keep idle connections, so that they, not we, close them.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


@contextmanager
def _in_thread(server: uvicorn.Server, listener: socket.socket) -> Generator[None]:
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="object-store", daemon=True
    )
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the object store did not start")
            time.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)
