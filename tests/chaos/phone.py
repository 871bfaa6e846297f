"""The shipped app as a client: ten seconds of patience, and everything tried again."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
from msgspec import Struct

from tests.chaos.weather import Weather
from tests.chaos.witness import Witness

TIMEOUT = aiohttp.ClientTimeout(total=10)
LONGEST_PAUSE = 2.0
REPEATED = frozenset({408, 425, 429})

Json = dict[str, Any]


class Answer(Struct, frozen=True):
    """`body` is the envelope; empty where the answer was none."""

    status: int
    body: Json

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def code(self) -> str:
        error: Json = self.body.get("error") or {}
        return error.get("code", "")


class Phone:
    """One person's app. A call goes to any of the API's addresses, as a balancer would send it."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        addresses: Sequence[str],
        weather: Weather,
        witness: Witness,
    ) -> None:
        self._http = http
        self._addresses = addresses
        self._weather = weather
        self._witness = witness
        self.token = ""
        self.user_id = ""

    async def sign_up(self, device: str) -> None:
        """The device's own account, whichever of several tries opened it."""
        answer = await self.call("POST", "/auth/anon", {"device_hash": device})
        self.token, self.user_id = answer.data["token"], answer.data["user_id"]

    async def call(
        self, method: str, path: str, body: object = None, key: str | None = None
    ) -> Answer:
        """The first answer that settles the matter: neither an outage nor "not now"."""
        pause = 0.1
        while True:
            answer = await self.call_once(method, path, body, key)
            if answer is not None and not _passes(answer):
                return answer
            await asyncio.sleep(pause * self._weather.luck.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def call_once(
        self, method: str, path: str, body: object = None, key: str | None = None
    ) -> Answer | None:
        """None where there was no answer."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        url = self._weather.luck.choice(self._addresses) + path
        content = aiohttp.JsonPayload(body) if body is not None else None
        try:
            async with self._http.request(
                method, url, data=content, headers=headers, timeout=TIMEOUT
            ) as response:
                answer = Answer(response.status, await response.json())
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        if answer.status >= 500:
            self._witness.failed(f"{method} {path.partition('job_')[0]}", answer.status)
        return answer

    async def put(self, url: str, content: bytes) -> None:
        """Upload to a presigned URL until it is there."""
        while True:
            try:
                async with self._http.put(
                    url, data=content, headers={"Content-Type": "image/jpeg"}, timeout=TIMEOUT
                ) as response:
                    if response.ok:
                        return
                    assert response.status >= 500, f"upload refused with {response.status}"
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(self._weather.luck.uniform(0.2, 1.0))

    async def get(self, url: str, tries: int = 20) -> bytes | None:
        """What lies at a presigned URL; None where the store says that nothing does."""
        for _ in range(tries):
            try:
                async with self._http.get(url, timeout=TIMEOUT) as response:
                    if response.ok:
                        return await response.read()
                    if response.status == 404:
                        return None
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(self._weather.luck.uniform(0.2, 1.0))
        return None


def _passes(answer: Answer) -> bool:
    """Whether the same call may be answered otherwise soon."""
    in_progress = answer.status == 409 and answer.code.startswith("IDEMPOTENCY")
    return answer.status >= 500 or answer.status in REPEATED or in_progress
