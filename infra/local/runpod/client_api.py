"""What callers see of an endpoint: `/v2/{endpoint}/run` and its neighbours."""

from typing import Annotated

from litestar import Response, get, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath, QueryParameter

from infra.local.runpod.access import HttpRequest, require_api_key
from infra.local.runpod.emulator import Emulator
from infra.local.runpod.endpoint import Endpoint
from infra.local.runpod.jobs import Job, status_body
from infra.local.runpod.requests import RunRequest, decode
from infra.local.runpod.settings import RUN_BODY_LIMIT, RUNSYNC_BODY_LIMIT
from infra.local.runpod.waiting import hold

Answer = Response[dict[str, object]]
Wait = Annotated[int, QueryParameter(ge=1_000, le=300_000)]

# Longer than any caller's patience; the gateway in front of the service gives up after this.
HANG_SECONDS = 100.0
GATEWAY_TIMEOUT = 524


@post(
    "/v2/{endpoint_id:str}/run",
    status_code=200,
    guards=[require_api_key],
    request_max_body_size=RUN_BODY_LIMIT,
)
async def run(
    request: HttpRequest,
    endpoint_id: FromPath[str],
    emulator: NamedDependency[Emulator],
) -> Answer:
    body = await request.body()
    faults = emulator.faults
    if faults.strikes("run_errors"):
        return Response({"error": "injected"}, status_code=faults.run_error_status)
    job = emulator.endpoint(endpoint_id).backlog.submit(decode(body, RunRequest))
    if faults.strikes("run_hangs"):
        await hold(request, emulator.bell, HANG_SECONDS, lambda: None)
        return Response({"error": "injected"}, status_code=GATEWAY_TIMEOUT)
    return Response({"id": job.id, "status": job.status})


@post(
    "/v2/{endpoint_id:str}/runsync",
    status_code=200,
    guards=[require_api_key],
    request_max_body_size=RUNSYNC_BODY_LIMIT,
)
async def runsync(
    request: HttpRequest,
    endpoint_id: FromPath[str],
    emulator: NamedDependency[Emulator],
    wait: Wait = 90_000,
) -> Answer:
    """Answers with the result, or after `wait` milliseconds with how far the job is."""
    accepted = decode(await request.body(), RunRequest)
    job = emulator.endpoint(endpoint_id).backlog.submit(accepted, sync=True)

    def ended() -> Job | None:
        return job if job.has_ended else None

    await hold(request, emulator.bell, wait / 1000, ended)
    return Response(status_body(job))


@route(
    "/v2/{endpoint_id:str}/status/{job_id:str}",
    http_method=[HttpMethod.GET, HttpMethod.POST],
    status_code=200,
    guards=[require_api_key],
)
async def status(endpoint: NamedDependency[Endpoint], job_id: FromPath[str]) -> Answer:
    return Response(status_body(endpoint.backlog.find(job_id)))


@route(
    "/v2/{endpoint_id:str}/stream/{job_id:str}",
    http_method=[HttpMethod.GET, HttpMethod.POST],
    status_code=200,
    guards=[require_api_key],
)
async def stream(endpoint: NamedDependency[Endpoint], job_id: FromPath[str]) -> Answer:
    """The chunks since the last read."""
    job = endpoint.backlog.find(job_id)
    chunks, job.chunks = job.chunks, []
    return Response({"status": job.status, "stream": [{"output": chunk} for chunk in chunks]})


@post("/v2/{endpoint_id:str}/cancel/{job_id:str}", status_code=200, guards=[require_api_key])
async def cancel(endpoint: NamedDependency[Endpoint], job_id: FromPath[str]) -> Answer:
    job = endpoint.backlog.cancel(job_id)
    return Response({"id": job.id, "status": job.status})


@post("/v2/{endpoint_id:str}/retry/{job_id:str}", status_code=200, guards=[require_api_key])
async def retry(endpoint: NamedDependency[Endpoint], job_id: FromPath[str]) -> Answer:
    job = endpoint.backlog.retry(job_id)
    return Response({"id": job.id, "status": job.status})


@post("/v2/{endpoint_id:str}/purge-queue", status_code=200, guards=[require_api_key])
async def purge_queue(endpoint: NamedDependency[Endpoint]) -> Answer:
    return Response({"removed": endpoint.backlog.purge(), "status": "completed"})


@get("/v2/{endpoint_id:str}/health", guards=[require_api_key])
async def health(endpoint: NamedDependency[Endpoint]) -> dict[str, dict[str, int]]:
    return endpoint.health()


HANDLERS = [run, runsync, status, stream, cancel, retry, purge_queue, health]
