"""The few routes of a model hub that a download uses, on loopback."""

import hashlib
import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """One repository. `refuses` answers every request with a status and an X-Error-Code.

    `asked` keeps the paths, `tokens` the Authorization headers, in the order of the requests.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.refuses: tuple[int, str] | None = None
        self.cuts: str | None = None
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        self.endpoint = ""

    def listing(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(data), "oid": _tag(data)}
            for name, data in self.files.items()
        ]


@contextmanager
def hub_of(files: Mapping[str, bytes], model: str = "facebook/sam3") -> Generator[Hub]:
    hub = Hub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, model))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _tag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def _handler(hub: Hub, model: str) -> type[BaseHTTPRequestHandler]:
    class Handler(_Answers):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append(path)
            hub.tokens.append(self.headers.get("Authorization"))
            file = path.removeprefix(f"/{model}/resolve/{COMMIT}/")
            if hub.refuses is not None:
                status, code = hub.refuses
                self.answer(status, b"{}", {"X-Error-Code": code} if code else {})
            elif path == f"/api/models/{model}/revision/main":
                self.answer_json({"id": model, "sha": COMMIT, "siblings": []})
            elif path == f"/api/models/{model}/tree/{COMMIT}":
                self.answer_json(hub.listing())
            elif file in hub.files:
                data = hub.files[file]
                told = {"ETag": f'"{_tag(data)}"', "X-Repo-Commit": COMMIT}
                self.answer(200, data, told, cut=hub.cuts == file)
            else:
                self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})

        do_HEAD = do_GET

    return Handler


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer_json(self, body: object) -> None:
        self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def answer(
        self, status: int, body: bytes, headers: Mapping[str, str], *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: object) -> None:
        pass
