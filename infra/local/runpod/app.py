"""The ASGI app of the emulator."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from infra.local.runpod import client_api, control_api, worker_api
from infra.local.runpod.access import HttpRequest
from infra.local.runpod.emulator import Emulator
from infra.local.runpod.endpoint import Endpoint
from infra.local.runpod.errors import Refused

log = logging.getLogger(__name__)

Body = dict[str, str]


def create_app(emulator: Emulator) -> Litestar:
    def the_emulator() -> Emulator:
        return emulator

    def the_endpoint(endpoint_id: FromPath[str]) -> Endpoint:
        return emulator.endpoint(endpoint_id)

    @asynccontextmanager
    async def run_clock(_: Litestar) -> AsyncGenerator[None]:
        clock = asyncio.create_task(emulator.keep_time())
        try:
            yield
        finally:
            clock.cancel()
            with suppress(asyncio.CancelledError):
                await clock
            await emulator.webhooks.close()

    return Litestar(
        route_handlers=[*client_api.HANDLERS, *worker_api.HANDLERS, *control_api.HANDLERS],
        dependencies={
            "emulator": Provide(the_emulator, sync_to_thread=False),
            "endpoint": Provide(the_endpoint, sync_to_thread=False),
        },
        exception_handlers={Refused: _refused, HTTPException: _http_error, Exception: _bug},
        lifespan=[run_clock],
        state=State({"settings": emulator.settings}),
        openapi_config=None,
        logging_config=None,
    )


def _refused(_: HttpRequest, error: Refused) -> Response[Body]:
    return Response({"error": str(error)}, status_code=error.status)


def _http_error(_: HttpRequest, error: HTTPException) -> Response[Body]:
    return Response({"error": error.detail}, status_code=error.status_code)


def _bug(_: HttpRequest, error: Exception) -> Response[Body]:
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return Response({"error": "internal error"}, status_code=500)
