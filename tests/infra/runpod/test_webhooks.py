"""The one call to a webhook when a job ended."""

import http.server
import json
import queue
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.infra.runpod.calls import finish, run, take


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes webhooks; answers with the codes that are queued, then 200."""

    codes: list[int]
    bodies: "queue.Queue[dict[str, Any]]"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.put(json.loads(body))
        self.send_response(self.codes.pop(0) if self.codes else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def webhook(codes: list[int]) -> Generator[tuple[str, "queue.Queue[dict[str, Any]]"]]:
    bodies: queue.Queue[dict[str, Any]] = queue.Queue()
    handler = type("Here", (Receiver,), {"codes": codes, "bodies": bodies})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook?token=t", bodies
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("codes", "deliveries"), [([], 1), ([500], 2), ([500, 404, 500], 3)])
def test_a_webhook_is_tried_three_times(
    caller: httpx.Client, worker: httpx.Client, codes: list[int], deliveries: int
) -> None:
    with webhook(codes) as (url, bodies):
        job_id = run(caller, {"webhook": url}, photo="a")
        take(worker)
        finish(worker, job_id, {"output": 1})
        got = [bodies.get(timeout=5) for _ in range(deliveries)]
        time.sleep(0.3)
        assert bodies.empty()
    assert all(body == got[0] for body in got)
    expected = {"id": job_id, "status": "COMPLETED", "input": {"photo": "a"}, "webhook": url}
    assert expected.items() <= got[0].items()
