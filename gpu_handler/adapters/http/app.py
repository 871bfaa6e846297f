"""The ASGI app: Runpod's job API as far as the service calls it, health and readiness."""

import asyncio
import hmac
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, TypeAlias

from litestar import Litestar, Request, Response, Router, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, QueryParameter

from gpu_handler.adapters.http.desk import Desk
from gpu_handler.adapters.http.errors import Refused, Unauthorized
from gpu_handler.adapters.http.jobs import JobStatus, status_body
from gpu_handler.adapters.http.requests import read_request

MIB = 1024 * 1024
RUN_BODY_LIMIT = 10 * MIB
RUNSYNC_BODY_LIMIT = 20 * MIB

HttpRequest: TypeAlias = Request[None, None, State]
Connection: TypeAlias = ASGIConnection[Any, Any, Any, State]
Guard: TypeAlias = Callable[[Connection, BaseRouteHandler], None]
Answer: TypeAlias = Response[dict[str, object]]
Wait = Annotated[int, QueryParameter(ge=1_000, le=300_000)]

log = logging.getLogger(__name__)


def create_app(desk: Desk, api_key: str) -> Litestar:
    """`/v2` is for those with the key, whatever endpoint id they name; health is for anybody."""

    def the_desk() -> Desk:
        return desk

    job_api = Router(
        "/v2/{endpoint_id:str}",
        route_handlers=[run, runsync, status, cancel, health],
        guards=[_bearer(api_key)],
    )
    return Litestar(
        route_handlers=[job_api, live, ready],
        dependencies={"desk": Provide(the_desk, sync_to_thread=False)},
        exception_handlers={Refused: _refused, HTTPException: _http_error, Exception: _bug},
        openapi_config=None,
        logging_config=None,
    )


@post("/run", status_code=200, request_max_body_size=RUN_BODY_LIMIT)
async def run(request: HttpRequest, desk: NamedDependency[Desk]) -> Answer:
    job = desk.submit(read_request(await request.body()))
    # Its place may have been free; Runpod says IN_QUEUE of every new job.
    return Response({"id": job.id, "status": JobStatus.IN_QUEUE})


@post("/runsync", status_code=200, request_max_body_size=RUNSYNC_BODY_LIMIT)
async def runsync(request: HttpRequest, desk: NamedDependency[Desk], wait: Wait = 90_000) -> Answer:
    """Answers with the result, or after `wait` milliseconds with how far the job is."""
    job = desk.submit(read_request(await request.body()), sync=True)
    with suppress(TimeoutError):
        await asyncio.wait_for(job.over.wait(), wait / 1000)
    return Response(status_body(job))


@get("/status/{job_id:str}")
async def status(job_id: FromPath[str], desk: NamedDependency[Desk]) -> Answer:
    return Response(status_body(desk.backlog.find(job_id)))


@post("/cancel/{job_id:str}", status_code=200)
async def cancel(job_id: FromPath[str], desk: NamedDependency[Desk]) -> Answer:
    job = desk.cancel(job_id)
    return Response({"id": job.id, "status": job.status})


@get("/health")
async def health(desk: NamedDependency[Desk]) -> dict[str, dict[str, int]]:
    """Counts of ended jobs are since the start, not of what is still kept."""
    return desk.health()


@get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@get("/health/ready")
async def ready(desk: NamedDependency[Desk]) -> Response[dict[str, str]]:
    """Whether a job would be taken."""
    if reason := desk.why_not:
        return Response({"status": "unavailable", "reason": reason}, status_code=503)
    return Response({"status": "ok"})


def _bearer(api_key: str) -> Guard:
    key = api_key.encode()

    def require_key(connection: Connection, _: BaseRouteHandler) -> None:
        scheme, _space, sent = connection.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(sent.strip().encode(), key)
        if scheme.lower() != "bearer" or not known:
            raise Unauthorized

    return require_key


def _refused(_: HttpRequest, error: Refused) -> Response[dict[str, str]]:
    return Response({"error": str(error)}, status_code=error.status, headers=error.headers)


def _http_error(_: HttpRequest, error: HTTPException) -> Response[dict[str, str]]:
    return Response({"error": error.detail}, status_code=error.status_code)


def _bug(_: HttpRequest, error: Exception) -> Response[dict[str, str]]:
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return Response({"error": "internal error"}, status_code=500)
