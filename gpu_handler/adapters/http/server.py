"""uvicorn, which ends when the desk has."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from litestar import Litestar

from gpu_handler.adapters.http.desk import Desk

log = logging.getLogger(__name__)


class DeskServer(uvicorn.Server):
    """Signals go to the desk, which lets jobs end while callers may still ask for them."""

    def __init__(self, app: Litestar, desk: Desk) -> None:
        config = uvicorn.Config(
            app,
            # The parser in plain Python bounds what comes as a head, and nothing here is hot.
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # Callers that keep connections for as long as uvicorn does, 5 s, would now and then
            # send a job into one that is just being closed.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=3,
        )
        super().__init__(config)
        self._desk = desk

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._desk.has_left

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn's own would stop the server first, and raise them again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._desk.leave)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError where that cannot be had. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)
