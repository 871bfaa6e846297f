"""The API's job queue over HTTPS: three calls, typed answers, errors by what follows from them."""

from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from shared.queue import (
    FinishData,
    FinishRequest,
    LeaseData,
    LeasedJob,
    LeaseRequest,
    RenewData,
    RenewRequest,
)

T = TypeVar("T")

TIMEOUT = 15.0
"""Seconds for one answer, beside what the API was asked to wait."""


class QueueError(Exception):
    """A call did not succeed; the message holds neither token nor body.

    QueueError
    ├── QueueAway    the API is down, busy or has another token: the same call may succeed later
    └── LeaseGone    the job is not ours any more
    """


class QueueAway(QueueError):
    pass


class LeaseGone(QueueError):
    pass


class Envelope(Struct, frozen=True):
    data: msgspec.Raw


class QueueClient:
    """`base_url` is the API's own."""

    def __init__(
        self, base_url: str, token: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        # No proxy of the environment could reach this machine's own loopback.
        direct = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=TIMEOUT,
            transport=transport,
            mounts=direct if transport is None else None,
        )

    async def lease(self, worker: str, wait: float) -> LeasedJob | None:
        """A job; None where none came within `wait` seconds. Raises QueueAway."""
        asked = LeaseRequest(worker, wait)
        return (await self._call("/queue/lease", asked, LeaseData, TIMEOUT + wait)).job

    async def renew(self, job: LeasedJob) -> RenewData:
        """Raises QueueAway, LeaseGone."""
        return await self._call(f"/queue/{job.id}/renew", RenewRequest(job.lease), RenewData)

    async def finish(self, job: LeasedJob, answer: FinishRequest) -> bool:
        """False where the job had been canceled. Raises QueueAway, LeaseGone."""
        return (await self._call(f"/queue/{job.id}/finish", answer, FinishData)).accepted

    async def close(self) -> None:
        await self._http.aclose()

    async def _call(self, path: str, body: Struct, answer: type[T], timeout: float = TIMEOUT) -> T:
        try:
            response = await self._http.post(
                path, content=msgspec.json.encode(body), timeout=timeout
            )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise QueueAway(type(error).__name__) from error
        if response.status_code in {400, 404, 409, 413} and path != "/queue/lease":
            raise LeaseGone(f"the API answered {response.status_code}")
        if response.status_code != 200:
            raise QueueAway(f"the API answered {response.status_code}")
        try:
            envelope = msgspec.json.decode(response.content, type=Envelope)
            return msgspec.json.decode(envelope.data, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise QueueAway("the API answered something else than documented") from error
