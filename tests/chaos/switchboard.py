"""The campaign's own HTTP server: what workers and API processes reach each other through."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.chaos.gateway import Gateway
from tests.chaos.postman import Postman

LARGEST = 20 * 1024 * 1024


@asynccontextmanager
async def serve(port: int, postman: Postman, gateway: Gateway) -> AsyncGenerator[None]:
    """Callbacks at the root and Runpod's job API at `/v2`, on a port of the loopback."""
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/jobs/{job_id}/callback", postman.handle)
    app.router.add_route("*", "/v2/{rest:.*}", gateway.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()
