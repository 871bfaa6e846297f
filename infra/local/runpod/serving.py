"""Run the emulator: in this process's main thread, or in a thread beside a test."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import httpx
import uvicorn
from msgspec import Struct

from infra.local.runpod.app import create_app
from infra.local.runpod.emulator import Emulator
from infra.local.runpod.settings import RunpodSettings

START_TIMEOUT_S = 20.0


class EmulatorServer(uvicorn.Server):
    """Lets held polls go before it waits for open requests to end."""

    def __init__(self, emulator: Emulator) -> None:
        # No access log: it would name every job and worker, and the polls would drown the rest.
        config = uvicorn.Config(
            create_app(emulator),
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=3,
            lifespan="on",
        )
        super().__init__(config)
        self._emulator = emulator

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._emulator.close()
        await super().shutdown(sockets=sockets)


class RunningRunpod(Struct, frozen=True):
    """`base_url` ends in `/v2`: append `/{endpoint_id}/run` and the like."""

    url: str
    settings: RunpodSettings

    @property
    def base_url(self) -> str:
        return f"{self.url}/v2"

    def client(self, endpoint_id: str) -> httpx.Client:
        """A caller of one endpoint, with the key."""
        headers = {"Authorization": f"Bearer {self.settings.api_key}"}
        base_url = f"{self.base_url}/{endpoint_id}"
        return httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=30.0)

    def control(self, **changes: object) -> None:
        """Set faults and worker news; the fields are those of `faults.Control`."""
        with self.client("-") as client:
            client.post(f"{self.url}/_control", json=changes).raise_for_status()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def serve_runpod(settings: RunpodSettings | None = None) -> Generator[RunningRunpod]:
    """The emulator on a free loopback port, in a thread of this process."""
    settings = settings or RunpodSettings(api_key="test-api-key", worker_key="test-worker-key")
    server = EmulatorServer(Emulator(settings))
    with listen("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],), name="runpod-emulator")
        thread.start()
        try:
            _wait_until_up(f"http://127.0.0.1:{port}", thread)
            yield RunningRunpod(url=f"http://127.0.0.1:{port}", settings=settings)
        finally:
            server.should_exit = True
            thread.join()


def _wait_until_up(url: str, thread: threading.Thread) -> None:
    # The socket listens only once the server runs; until then the connection is refused.
    transport = httpx.HTTPTransport(retries=8)
    with httpx.Client(transport=transport, timeout=START_TIMEOUT_S, trust_env=False) as client:
        try:
            client.get(f"{url}/_control")
        except httpx.TransportError as error:
            alive = "is running" if thread.is_alive() else "ended"
            raise RuntimeError(f"the emulator did not start; its thread {alive}") from error
