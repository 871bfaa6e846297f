"""Runpod's job API over one httpx client: typed answers, classified errors."""

from enum import StrEnum
from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from shared.messages import JobMessage

T = TypeVar("T")


class RunpodStatus(StrEnum):
    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    RUNNING = "RUNNING"  # documented beside IN_PROGRESS
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


class RunpodError(Exception):
    """A call did not succeed; the message holds neither key nor body."""


class RunpodTransient(RunpodError):
    """Busy or unreachable: the same call may succeed later."""


class RunpodRefused(RunpodError):
    """The request itself is refused; repeating it changes nothing."""


class RunpodForgotten(RunpodError):
    """404: expired, or never there."""


class Submitted(Struct, frozen=True):
    id: str


class RunpodJob(Struct, frozen=True):
    """`output` is what the handler returned; Runpod may add fields at any time."""

    status: RunpodStatus
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


# Cloudflare stands in front and answers 520-524 for a backend in trouble.
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504, *range(520, 525)}


class RunpodClient:
    """`base_url` is `https://api.runpod.ai/v2`, or an emulator's."""

    def __init__(
        self, base_url: str, api_key: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(15, connect=5),
            transport=transport,
            trust_env=False,
        )

    async def submit(
        self, endpoint_id: str, message: JobMessage, *, execution_timeout: float, ttl: float
    ) -> str:
        """POST /run; returns Runpod's id. Times in seconds. Raises RunpodError."""
        body = {
            "input": msgspec.to_builtins(message),
            "policy": {"executionTimeout": int(execution_timeout * 1000), "ttl": int(ttl * 1000)},
        }
        return (await self._call("POST", f"/{endpoint_id}/run", Submitted, body)).id

    async def status(self, endpoint_id: str, runpod_job_id: str) -> RunpodJob:
        """GET /status. Raises RunpodForgotten after Runpod's retention of 30 minutes."""
        return await self._call("GET", f"/{endpoint_id}/status/{runpod_job_id}", RunpodJob)

    async def cancel(self, endpoint_id: str, runpod_job_id: str) -> None:
        await self._call("POST", f"/{endpoint_id}/cancel/{runpod_job_id}", RunpodJob)

    async def close(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, answer: type[T], body: object = None) -> T:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = await self._http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise RunpodTransient(f"{method} failed: {type(error).__name__}") from error
        status = response.status_code
        if status == 404:
            raise RunpodForgotten(f"{method} answered 404")
        if status in _TRANSIENT or status in {401, 403}:
            # A wrong key is an operator's mistake: jobs wait for it to be mended.
            raise RunpodTransient(f"{method} answered {status}")
        if not response.is_success:
            raise RunpodRefused(f"{method} answered {status}")
        try:
            return msgspec.json.decode(response.content, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RunpodTransient(f"{method} answered something else than documented") from error
