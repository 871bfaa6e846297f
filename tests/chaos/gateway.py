"""A proxy between the API and Runpod that fails calls and loses answers."""

import aiohttp
from aiohttp import web

from tests.chaos.weather import Weather

FORWARDED = ("Authorization", "Content-Type")
PATIENCE = aiohttp.ClientTimeout(total=20)


class Gateway:
    """Stands at RUNPOD_BASE_URL. `upstream` is the emulator's address, without `/v2`."""

    def __init__(self, http: aiohttp.ClientSession, weather: Weather) -> None:
        self.upstream = ""
        self.runs = 0
        self.lost_answers = 0
        self._http = http
        self._weather = weather

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        odds = self._weather.odds
        is_run = request.path.endswith("/run")
        if self._weather.strikes(odds.run_fails if is_run else odds.status_fails):
            return web.json_response({"error": "injected"}, status=502)
        try:
            status, answer = await self._forward(request, body)
        except (aiohttp.ClientError, TimeoutError):
            return web.json_response({"error": "no upstream"}, status=502)
        if is_run:
            self.runs += status == 200
            if self._weather.strikes(odds.run_unanswered):
                self.lost_answers += 1
                return _hang_up(request)
        return web.Response(status=status, body=answer, content_type="application/json")

    async def _forward(self, request: web.Request, body: bytes) -> tuple[int, bytes]:
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        async with self._http.request(
            request.method,
            self.upstream + request.path_qs,
            data=body or None,
            headers=headers,
            timeout=PATIENCE,
        ) as response:
            return response.status, await response.read()


def _hang_up(request: web.Request) -> web.Response:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=502)
