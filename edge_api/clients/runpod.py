"""Runpod's job API over one httpx client: typed answers, classified errors."""

from enum import StrEnum
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct, field

from shared.versions import WrittenMessage

T = TypeVar("T")


class RunpodStatus(StrEnum):
    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    RUNNING = "RUNNING"  # documented beside IN_PROGRESS
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def running(self) -> bool:
        return self in {self.IN_PROGRESS, self.RUNNING}

    @property
    def ended(self) -> bool:
        return self in {self.COMPLETED, self.FAILED, self.CANCELLED, self.TIMED_OUT}


class RunpodError(Exception):
    """A call did not succeed; the message holds neither key nor body.

    RunpodError
    ├── RunpodTransient    nothing happened; the same call may succeed later
    ├── RunpodAmbiguous    it may have happened: the answer was lost or says nothing
    ├── RunpodDenied       401, 403: the key is wrong, for every call, until an operator mends it
    ├── RunpodRefused      the request itself is refused; repeating it changes nothing
    └── RunpodForgotten    404: expired, or never there
    """


class RunpodTransient(RunpodError):
    pass


class RunpodAmbiguous(RunpodError):
    pass


class RunpodDenied(RunpodError):
    pass


class RunpodRefused(RunpodError):
    pass


class RunpodForgotten(RunpodError):
    pass


class Submitted(Struct, frozen=True):
    id: str


class RunpodJob(Struct, frozen=True):
    """`output` is what the handler returned, `retries` how often Runpod began it again by itself.

    Runpod may add fields at any time, and leave `executionTime` out.
    """

    status: RunpodStatus
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    retries: int = 0
    execution_time: object = field(default=None, name="executionTime")

    @property
    def execution_ms(self) -> float | None:
        """How long a worker had it, in milliseconds; None where the answer does not say."""
        told = self.execution_time
        return float(told) if isinstance(told, int | float) and abs(told) < 1e15 else None

    @property
    def unread(self) -> bool:
        """Whether the worker reads another version of the job message, and did nothing."""
        return bytes(self.error).startswith(b'"UNSUPPORTED_SCHEMA:')


class Workers(Struct, frozen=True):
    """How many workers an endpoint has in each state."""

    idle: int = 0
    initializing: int = 0
    ready: int = 0
    running: int = 0
    throttled: int = 0
    unhealthy: int = 0

    @property
    def usable(self) -> int:
        return self.idle + self.ready + self.running


class EndpointHealth(Struct, frozen=True):
    workers: Workers = Workers()


_TURNED_AWAY = {408, 425, 429}
# Cloudflare stands in front and answers 520-524 for a backend in trouble; the backend may have
# taken the request all the same.
_BROKEN = {500, 502, 503, 504, *range(520, 525)}
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class RunpodClient:
    """`base_url` is `https://api.runpod.ai/v2`, or an emulator's; `timeout` in seconds."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = 15.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(timeout, connect=min(5.0, timeout)),
            transport=transport,
            trust_env=False,
        )

    async def submit(
        self, endpoint_id: str, message: WrittenMessage, *, execution_timeout: float, ttl: float
    ) -> str:
        """POST /run; returns Runpod's id. Times in seconds. Raises RunpodError."""
        body = {
            "input": msgspec.to_builtins(message),
            "policy": {"executionTimeout": int(execution_timeout * 1000), "ttl": int(ttl * 1000)},
        }
        return (await self._call("POST", f"/{endpoint_id}/run", Submitted, body)).id

    async def status(self, endpoint_id: str, runpod_job_id: str) -> RunpodJob:
        """GET /status. Raises RunpodForgotten after Runpod's retention of 30 minutes."""
        return await self._call(
            "GET", f"/{endpoint_id}/status/{_segment(runpod_job_id)}", RunpodJob
        )

    async def cancel(self, endpoint_id: str, runpod_job_id: str) -> None:
        await self._call("POST", f"/{endpoint_id}/cancel/{_segment(runpod_job_id)}", RunpodJob)

    async def workers(self, endpoint_id: str) -> Workers:
        """GET /health."""
        return (await self._call("GET", f"/{endpoint_id}/health", EndpointHealth)).workers

    async def close(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, answer: type[T], body: object = None) -> T:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = await self._http.request(method, path, content=content, headers=headers)
        except _NEVER_SENT as error:
            raise RunpodTransient(f"{method} failed: {type(error).__name__}") from error
        # The others: httpx reads a redirect that it does not follow, and it is to no URL at all.
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise RunpodAmbiguous(f"{method} failed: {type(error).__name__}") from error
        _check(method, response.status_code)
        try:
            return msgspec.json.decode(response.content, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RunpodAmbiguous(f"{method} answered something else than documented") from error


def _segment(runpod_job_id: str) -> str:
    """It may be what a worker told: one segment of a path whatever it holds, never `..`."""
    return quote(runpod_job_id, safe="").replace(".", "%2E")


def _check(method: str, status: int) -> None:
    if 200 <= status < 300:
        return
    text = f"{method} answered {status}"
    if status == 404:
        raise RunpodForgotten(text)
    if status in {401, 403}:
        raise RunpodDenied(text)
    if status in _TURNED_AWAY:
        raise RunpodTransient(text)
    raise RunpodAmbiguous(text) if status in _BROKEN else RunpodRefused(text)
