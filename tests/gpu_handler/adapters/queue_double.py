"""The API's job queue as a worker sees it: gives out what it has, and answers as it is told."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from shared.queue import FinishRequest, LeasedJob, LeaseRequest, RenewRequest

Json = dict[str, Any]

TOKEN = "a-token-of-the-queue-alone-" + "q" * 32


class QueueDouble:
    """`trouble(verb)` may answer in its place, or raise. A job that is `canceled` or `taken` away
    is so at its next renewal."""

    def __init__(self, lease_seconds: float = 60.0) -> None:
        self.waiting: deque[Json] = deque()
        self.asked = 0
        self.renewed: list[str] = []
        self.finished: dict[str, FinishRequest] = {}
        self.canceled: set[str] = set()
        self.taken: set[str] = set()
        self.trouble: Callable[[str], httpx.Response | None] = lambda verb: None
        self.hung_up = 0
        self._lease_seconds = lease_seconds

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        *_, verb = request.url.path.split("/")
        if (answer := self.trouble(verb)) is not None:
            return answer
        if verb == "lease":
            return await self._lease(msgspec.json.decode(request.content, type=LeaseRequest))
        job_id = request.url.path.split("/")[2]
        if job_id in self.taken:
            return httpx.Response(409, json={"data": None})
        if verb == "renew":
            return self._renew(job_id, msgspec.json.decode(request.content, type=RenewRequest))
        finish = msgspec.json.decode(request.content, type=FinishRequest)
        assert finish.lease == f"lease-of-{job_id}"
        self.finished[job_id] = finish
        return told({"accepted": job_id not in self.canceled})

    async def _lease(self, asked: LeaseRequest) -> httpx.Response:
        assert asked.worker == "pod-1"
        self.asked += 1
        try:
            for _ in range(200):
                if self.waiting:
                    return told({"job": self._give()})
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        return told({"job": None})

    def _give(self) -> object:
        job_id = f"queued_{self.asked}"
        return msgspec.to_builtins(
            LeasedJob(
                id=job_id,
                lease=f"lease-of-{job_id}",
                lease_seconds=self._lease_seconds,
                execution_seconds=60.0,
                input=self.waiting.popleft(),
            )
        )

    def _renew(self, job_id: str, asked: RenewRequest) -> httpx.Response:
        assert asked.lease == f"lease-of-{job_id}"
        self.renewed.append(job_id)
        canceled = job_id in self.canceled
        return told({"lease_seconds": 0 if canceled else self._lease_seconds, "canceled": canceled})


def told(data: Json) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "data": data, "error": None, "meta": {}})
