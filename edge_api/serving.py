"""How uvicorn serves the application: its settings, and a bound on what comes before a body."""

import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 32 * 1024
"""Bytes of a request line and its headers. uvicorn's fast parser has no bound of its own, and
puts a header that comes in pieces together in quadratic time."""

_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedHeads(HttpToolsProtocol):
    """Closes the connection of whoever sends a head without end."""

    _head = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > MAX_HEAD and not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._head, self._in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()


def serve(app: Litestar | str, host: str, port: int, workers: int) -> None:
    """Until a signal; `app` is the application, or where its factory is for several workers."""
    uvicorn.run(
        app,
        factory=isinstance(app, str),
        workers=workers,
        host=host,
        port=port,
        http=BoundedHeads,
        log_config=None,
        access_log=False,
        server_header=False,
        # TRUSTED_PROXIES says whom to believe, and nothing else does.
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
