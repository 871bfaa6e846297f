"""The OpenAPI document as a check on every answer that a test sees."""

import re
from functools import cache
from typing import Any

import httpx
from litestar import Litestar

from edge_api.controllers.openapi import polish

Json = dict[str, Any]

_NOT_IN_THE_ENVELOPE = ("/docs",)


@cache
def document(app: Litestar) -> Json:
    return polish(app.openapi_schema.to_schema())


class Documented:
    """Which statuses each call may answer with."""

    def __init__(self, openapi: Json) -> None:
        self._calls = [
            (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation)
            for path, operations in openapi["paths"].items()
            for method, operation in operations.items()
        ]

    def statuses(self, method: str, path: str) -> set[int] | None:
        """None where the document has no such call."""
        for known, pattern, operation in self._calls:
            if known == method and pattern.fullmatch(path):
                return {int(status) for status in operation["responses"]}
        return None

    def check(self, response: httpx.Response) -> None:
        """A hook for the client: the envelope is whole and the status is documented."""
        response.read()
        request = response.request
        path = request.url.path
        if path.startswith(_NOT_IN_THE_ENVELOPE) or request.method in {"OPTIONS", "HEAD"}:
            return
        assert_envelope(response)
        documented = self.statuses(request.method, path)
        if documented is not None:
            assert response.status_code in documented, f"{request.method} {path}: {response.text}"


def assert_envelope(response: httpx.Response) -> None:
    """`{success, data, error, meta}`, and nothing else, with types that the app casts."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"success", "data", "error", "meta"}, body
    meta = body["meta"]
    assert set(meta) <= {"request_id", "timestamp", "next_cursor"}
    assert meta["request_id"] == response.headers["x-request-id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", meta["timestamp"])
    assert body["success"] is response.is_success
    if response.is_success:
        assert body["error"] is None
        assert body["data"] is not None
        return
    error = body["error"]
    assert body["data"] is None
    assert set(error) <= {"code", "message", "details"}
    assert re.fullmatch(r"[A-Z_]+", error["code"])
    assert isinstance(error["message"], str)
    assert error["message"]
    assert error.get("details", {}) is not None
