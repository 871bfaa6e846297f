"""One HTTP request and its reply, between the ASGI server and the store."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from io import BufferedReader
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from infra.local.store.refusals import Refusal, S3Error

Event: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one upload: well above the largest photo, well below a filled disk."""

_PIECE = 1024 * 1024
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LENGTH = re.compile(r"[0-9]{1,18}")


class Disconnected(Exception):
    """The client went away before its body was complete."""


class Request:
    """A request as it came over the wire: path and query undecoded, header names in lower case."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.raw_path: str = scope["raw_path"].decode("latin-1")
        self.raw_query: str = scope["query_string"].decode("latin-1")
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
            self.headers[key] = f"{self.headers[key]},{text}" if key in self.headers else text
        self._receive = receive
        self.body_ended = not self._announces_body()

    @property
    def path(self) -> bytes:
        """The path with its escapes taken out. Raises `Refusal` where one is malformed."""
        return unescape(self.raw_path)

    @property
    def query(self) -> list[tuple[bytes, bytes]]:
        """Decoded parameters in the order they came. Raises `Refusal` for a malformed escape."""
        pairs = (part.partition("=") for part in self.raw_query.split("&") if part)
        return [(unescape(k.replace("+", " ")), unescape(v.replace("+", " "))) for k, _, v in pairs]

    def content_length(self, limit: int = MAX_BODY) -> int:
        """The announced length. Raises `Refusal` where there is none or it is above `limit`."""
        announced = self.headers.get("content-length")
        if announced is None or "transfer-encoding" in self.headers:
            raise Refusal(S3Error.LENGTH_MISSING)
        if not _LENGTH.fullmatch(announced):
            raise Refusal(S3Error.BAD_REQUEST, "Content-Length is not a number.")
        if int(announced) > limit:
            raise Refusal(S3Error.ENTITY_TOO_LARGE, f"The limit is {limit} bytes.")
        return int(announced)

    async def body(self, limit: int = MAX_BODY) -> AsyncIterator[bytes]:
        """The body in pieces of about 1 MiB, exactly as long as announced.

        Raises `Disconnected` where the client goes away, and `Refusal` where the length is wrong.
        """
        announced = self.content_length(limit)
        received = 0
        piece = bytearray()
        while not self.body_ended:
            chunk = await self._next_chunk()
            received += len(chunk)
            if received > announced:
                raise Refusal(S3Error.INCOMPLETE_BODY)
            piece += chunk
            if len(piece) >= _PIECE:
                yield bytes(piece)
                piece.clear()
        if received != announced:
            raise Refusal(S3Error.INCOMPLETE_BODY)
        if piece:
            yield bytes(piece)

    async def discard_body(self) -> bool:
        """Read away a body that nobody wants; False where the connection must be closed instead.

        A client that is still sending when its connection closes sees a reset, not the refusal.
        """
        if self.body_ended:
            return True
        if self.headers.get("expect", "").lower() == "100-continue":
            return False
        announced = self.headers.get("content-length", "0")
        if not _LENGTH.fullmatch(announced) or int(announced) > MAX_BODY:
            return False
        received = 0
        while not self.body_ended and received <= MAX_BODY:
            try:
                received += len(await self._next_chunk())
            except Disconnected:
                return False
        return self.body_ended

    async def _next_chunk(self) -> bytes:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise Disconnected
        self.body_ended = not event.get("more_body", False)
        return event.get("body", b"")

    def _announces_body(self) -> bool:
        length = self.headers.get("content-length", "0")
        return length != "0" or "transfer-encoding" in self.headers


class FilePart(Struct, frozen=True):
    """`length` bytes of an open file from `start`; whoever sends them closes it."""

    file: BufferedReader
    start: int
    length: int


class Reply(Struct, frozen=True):
    """Status, headers and a body of bytes or of a part of a file."""

    status: int
    headers: dict[str, str]
    body: bytes | FilePart = b""

    @property
    def length(self) -> int:
        return self.body.length if isinstance(self.body, FilePart) else len(self.body)


async def send_reply(send: Send, method: str, reply: Reply) -> None:
    """Send the reply, a file in pieces; HEAD sends the same headers and no body."""
    try:
        headers = dict(reply.headers)
        if reply.status not in (204, 304):
            headers.setdefault("content-length", str(reply.length))
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        if isinstance(reply.body, bytes):
            await send(
                {"type": "http.response.body", "body": b"" if method == "HEAD" else reply.body}
            )
        else:
            await _send_file(send, reply.body, 0 if method == "HEAD" else reply.body.length)
    finally:
        if isinstance(reply.body, FilePart):
            reply.body.file.close()


async def _send_file(send: Send, part: FilePart, left: int) -> None:
    await asyncio.to_thread(part.file.seek, part.start)
    while left > 0:
        piece = await asyncio.to_thread(part.file.read, min(_PIECE, left))
        if not piece:
            raise OSError("an object's file is shorter than its record says")
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def unescape(text: str) -> bytes:
    """Percent-decode. Raises `Refusal` for an escape that is none."""
    if _BAD_ESCAPE.search(text):
        raise Refusal(S3Error.INVALID_URI)
    return unquote_to_bytes(text.encode("latin-1"))
