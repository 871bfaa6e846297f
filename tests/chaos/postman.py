"""A callback proxy at PUBLIC_URL that loses, doubles, delays, withholds and invents callbacks."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp import web
from msgspec import Struct

from tests.chaos.forgeries import Forger, Forgery
from tests.chaos.weather import Weather

SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")
PATIENCE = aiohttp.ClientTimeout(total=12)
WITHIN = (20.0, 150.0)
BEYOND = (500.0, 2000.0)
"""Seconds; the API tolerates 300, and its own clock may be jumped by a minute or two."""


class Callback(Struct, frozen=True):
    job_id: str
    headers: Mapping[str, str]
    body: bytes


class Postman:
    """Counts what workers sent, and finds out whether anything false was believed."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        addresses: Sequence[str],
        weather: Weather,
        forger: Forger,
    ) -> None:
        self.posts = 0
        self.faults: Counter[str] = Counter()
        self.forged: Counter[str] = Counter()
        self.believed: list[str] = []
        self.executions: Counter[tuple[str, int]] = Counter()
        self._bodies: set[bytes] = set()
        self._http = http
        self._addresses = addresses
        self._weather = weather
        self._forger = forger
        self._errands: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One callback from a worker."""
        headers = {name: request.headers[name] for name in SIGNED if name in request.headers}
        callback = Callback(request.match_info["job_id"], headers, await request.read())
        self._count(callback)
        self._send_more(callback)
        odds, strikes = self._weather.odds, self._strikes
        if strikes("lost", odds.lost):
            return web.Response(status=504)
        if strikes("swallowed", odds.swallowed):
            return web.json_response({"success": True, "data": {"processed": True}})
        if strikes("held", odds.held):
            await asyncio.sleep(self._weather.luck.uniform(0.3, 5.0))
        if strikes("skewed", odds.skewed):
            callback = self._skewed(callback, WITHIN)
        stale = strikes("stale", odds.stale)
        if stale:
            callback = self._skewed(callback, BEYOND)
        status, body = await self._deliver(callback)
        if stale and status < 400:
            self.believed.append(f"a clock far off for {callback.job_id}: {status}")
        if strikes("unanswered", odds.unanswered) and request.transport is not None:
            request.transport.close()
        return web.Response(status=status, body=body, content_type="application/json")

    async def finish(self) -> None:
        """Until everything that was held back is delivered."""
        await asyncio.gather(*self._errands)

    def _count(self, callback: Callback) -> None:
        self.posts += 1
        told = json.loads(callback.body)
        # A repeated try sends the same bytes; work done again differs at least in its timings.
        digest = hashlib.sha256(callback.body).digest()
        if digest not in self._bodies:
            self._bodies.add(digest)
            self.executions[callback.job_id, told["idx"]] += 1

    def _strikes(self, name: str, chance: float) -> bool:
        struck = self._weather.strikes(chance)
        self.faults[name] += struck
        return struck

    def _send_more(self, callback: Callback) -> None:
        odds, luck = self._weather.odds, self._weather.luck
        if self._strikes("doubled", odds.doubled_callback):
            self._later(luck.uniform(0.0, 2.0), self._repeat(callback))
        if self._strikes("late", odds.late):
            self._later(luck.uniform(5.0, 40.0), self._repeat(callback))
        if self._strikes("forged", odds.forged):
            self._later(luck.uniform(0.0, 1.0), self._forge(callback))

    def _later(self, delay: float, errand: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            await asyncio.sleep(0 if self._weather.is_calm else delay)
            await errand

        task = asyncio.create_task(run())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _repeat(self, callback: Callback) -> None:
        headers = self._forger.resign(callback.body, 0.0)
        await self._deliver(Callback(callback.job_id, headers, callback.body))

    async def _forge(self, callback: Callback) -> None:
        forgery: Forgery = self._forger.forge(callback.job_id, callback.body)
        status, _ = await self._deliver(Callback(forgery.job_id, forgery.headers, forgery.body))
        self.forged[f"{forgery.kind}: {status}"] += 1
        if status < 400:
            self.believed.append(f"{forgery.kind} for {forgery.job_id}: {status}")

    def _skewed(self, callback: Callback, span: tuple[float, float]) -> Callback:
        luck = self._weather.luck
        age = luck.uniform(*span) * luck.choice((-1, 1))
        return Callback(callback.job_id, self._forger.resign(callback.body, age), callback.body)

    async def _deliver(self, callback: Callback) -> tuple[int, bytes]:
        """The API's answer; from the next process where one is not there."""
        addresses = list(self._addresses)
        self._weather.luck.shuffle(addresses)
        for address in addresses:
            url = f"{address}/jobs/{callback.job_id}/callback"
            try:
                async with self._http.post(
                    url, data=callback.body, headers=callback.headers, timeout=PATIENCE
                ) as response:
                    return response.status, await response.read()
            except aiohttp.ClientConnectorError:
                continue
            except (aiohttp.ClientError, TimeoutError):
                break
        return 502, b"{}"
