"""The mobile app as an actor: its calls, with the headers that it really sends."""

from functools import cache
from typing import Any

import httpx

Json = dict[str, Any]

PHOTO = b"\xff\xd8\xff\xe0 the bytes of a photo"
RULE: Json = {"concepts": {"Wall": {"action": "recolor", "value": "oak_a"}}}


class Phone:
    """Every call carries `Content-Type: application/json`, also with an empty body."""

    def __init__(self, api: httpx.Client, token: str = "", user_id: str = "") -> None:
        self._api = api
        self.token = token
        self.user_id = user_id

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send `body` as JSON, or `content` as it is; nothing where both are None."""
        sent = {"Content-Type": "application/json"}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= headers or {}
        if body is not None:
            return self._api.request(method, path, json=body, headers=sent)
        return self._api.request(method, path, content=content, headers=sent)

    def data(self, method: str, path: str, body: object = None) -> Any:
        """The `data` of a call that succeeds."""
        response = self.call(method, path, body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()["data"]

    def sign_up(self, device_hash: str | None = None) -> "Phone":
        body = None if device_hash is None else {"device_hash": device_hash}
        account = self.data("POST", "/auth/anon", body)
        self.token, self.user_id = account["token"], account["user_id"]
        return self

    def credits(self) -> int:
        return self.data("GET", "/me")["credits"]

    def create(self, count: int = 2, preset: str = "interior") -> Json:
        return self.data("POST", "/jobs", {"preset": preset, "item_count": count})

    def upload(self, job: Json, content_type: str = "image/jpeg", photo: bytes = PHOTO) -> None:
        for target in job["presigned_urls"]:
            put_object(target["url"], photo, content_type)

    def created_job(self, count: int = 2, preset: str = "interior") -> str:
        """A job whose photos are in the bucket and not confirmed yet."""
        job = self.create(count, preset)
        self.upload(job)
        return job["job_id"]

    def uploaded_job(self, count: int = 2, preset: str = "interior") -> str:
        job_id = self.created_job(count, preset)
        self.data("POST", f"/jobs/{job_id}/confirm-upload")
        return job_id

    def queued_job(self, count: int = 2, body: Json | None = None) -> str:
        job_id = self.uploaded_job(count)
        self.execute(job_id, body)
        return job_id

    def execute(self, job_id: str, body: Json | None = None) -> Json:
        return self.data("POST", f"/jobs/{job_id}/execute", RULE if body is None else body)

    def cancel(self, job_id: str) -> Json:
        return self.data("POST", f"/jobs/{job_id}/cancel")

    def job(self, job_id: str) -> Json:
        return self.data("GET", f"/jobs/{job_id}")["job"]

    def statuses(self, job_id: str) -> list[str]:
        return [item["status"] for item in self.job(job_id)["items"]]


@cache
def _storage() -> httpx.Client:
    return httpx.Client(trust_env=False)


def put_object(url: str, body: bytes, content_type: str) -> None:
    """PUT to a presigned URL with no header of our own but the type."""
    response = _storage().put(url, content=body, headers={"Content-Type": content_type})
    assert response.is_success, response.text
