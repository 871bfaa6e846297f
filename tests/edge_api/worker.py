"""The GPU handler as an actor: it signs what it reports."""

import json
import time
from typing import Any

import httpx

from shared.signing import sign_headers

Json = dict[str, Any]


class Worker:
    """Works on one job message; `secret` is the callback secret it was given."""

    def __init__(self, api: httpx.Client, message: Json, secret: str) -> None:
        self._api = api
        self.message = message
        self._secret = secret
        self._items = {item["idx"]: item for item in message["items"]}

    def result(self, idx: int, status: str = "done", **changes: object) -> Json:
        """The body of a callback as the handler would send it, with `changes` on top."""
        message = self.message
        key = f"{message['idempotency_prefix']}:{idx}:attempt{message['attempt']}"
        body: Json = {
            "idx": idx,
            "status": status,
            "idempotency_key": key,
            "dispatch_id": message["dispatch_id"],
            "attempt": message["attempt"],
            "runpod_job_id": f"rp-{message['dispatch_id']}",
        }
        if status == "done":
            item = self._items[idx]
            body |= {key: item[key] for key in ("output_key", "preview_key")}
        else:
            body["error"] = {
                "code": "UNSUPPORTED_IMAGE",
                "message": "This file is not a photo.",
                "retryable": False,
            }
        return body | changes

    def report(self, idx: int, status: str = "done", **changes: object) -> httpx.Response:
        return self.send(self.result(idx, status, **changes))

    def send(
        self,
        body: object,
        *,
        job_id: str | None = None,
        secret: str | None = None,
        age: float = 0.0,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Sign and POST; `age` in seconds is how old the signature is, `job_id` another path."""
        content = json.dumps(body).encode()
        signed = sign_headers(
            secret or self._secret, f"msg_{time.time_ns()}", content, now=time.time() - age
        )
        signed |= {"Content-Type": "application/json"} | (headers or {})
        path = f"/jobs/{job_id or self.message['job_id']}/callback"
        return self._api.post(path, content=content, headers=signed)

    def processed(self, idx: int, status: str = "done") -> bool:
        """Report an item and return what the API says it did with it."""
        response = self.report(idx, status)
        assert response.status_code == 200, response.text
        return response.json()["data"]["processed"]

    def summary(self, *results: Json) -> Json:
        """What the handler returns to Runpod."""
        message = self.message
        return {
            "schema_version": message["schema_version"],
            "job_id": message["job_id"],
            "dispatch_id": message["dispatch_id"],
            "attempt": message["attempt"],
            "engine": "classical",
            "items": list(results),
        }
