"""How uvicorn serves the application: its settings, and a bound on what comes around a body."""

import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 32 * 1024
"""Bytes of a request line and its headers, and of what follows a chunked body. uvicorn's fast
parser has no bound of its own, and puts together what comes in pieces in quadratic time."""

_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedHeads(HttpToolsProtocol):
    """Closes the connection of whoever sends a head, an extension of a chunk or trailers without
    end: bytes that neither end a head nor are a body."""

    _since = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        self._since += len(data)
        super().data_received(data)
        if self._since > MAX_HEAD and not self.transport.is_closing():
            if self._in_head:
                self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._since, self._in_head = 0, True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer comes here as well, and would join the headers of a request that is under way.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._since, self._in_head = 0, False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._since = 0
        super().on_body(body)


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
