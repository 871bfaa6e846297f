"""Applications behind a real server in a thread of this process."""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def served(app: Any, *, dated: bool = True) -> Generator[str]:
    """Its address, on a free port, for as long as the context lasts. Without `dated` the Date of
    every answer is the application's own."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, ws="none", lifespan="auto", date_header=dated
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
