"""A lean HTTP/1.1 connection: httpx spends more on a call than the service under test."""

import asyncio
from typing import cast
from urllib.parse import urlsplit

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "


class Wire(asyncio.Protocol):
    """One kept connection, one request at a time; every answer must carry its length."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END)
        if end < 0 or self._answer is None:
            return
        head = bytes(self._received[:end]).lower() + b"\r\n"
        _, _, rest = head.partition(_LENGTH)
        whole = end + len(_END) + int(rest.partition(b"\r\n")[0])
        if len(self._received) >= whole and not self._answer.done():
            body = bytes(self._received[end + len(_END) : whole])
            del self._received[:whole]
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the service hung up"))

    async def call(
        self, method: str, path: str, token: str = "", body: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body. The headers are the app's. Raises OSError where the line breaks."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionError("the service hung up")
        self._answer = asyncio.get_running_loop().create_future()
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def connect(base: str) -> Wire:
    """A connection to `http://host:port`."""
    address = urlsplit(base)
    assert address.hostname
    assert address.port
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(Wire, address.hostname, address.port)
    return wire
