"""What the unmodified worker SDK talks to, at the addresses its environment names.

The SDK sends results as JSON under a form content type, retries a 5xx twice and drops a 4xx.
An instant answer to a poll makes it ask hundreds of times a second: polls are held.
"""

from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from infra.local.runpod.access import HttpRequest, require_worker_key
from infra.local.runpod.emulator import Emulator
from infra.local.runpod.endpoint import Endpoint
from infra.local.runpod.jobs import Job, worker_message
from infra.local.runpod.requests import DonePost, StreamPost, decode
from infra.local.runpod.settings import RUNSYNC_BODY_LIMIT
from infra.local.runpod.waiting import hold

NO_CONTENT = 204
HEALTHY = "healthy"
BatchSize = Annotated[int, QueryParameter(ge=1, le=1_000)]
Message = dict[str, object]


@get("/v2/{endpoint_id:str}/job-take/{worker_id:str}", guards=[require_worker_key])
async def job_take(
    request: HttpRequest,
    worker_id: FromPath[str],
    emulator: NamedDependency[Emulator],
    endpoint: NamedDependency[Endpoint],
) -> Response[Message | None]:
    jobs = await _take(request, emulator, endpoint, worker_id, 1)
    if not jobs:
        return Response(None, status_code=NO_CONTENT)
    return Response(worker_message(jobs[0]))


@get("/v2/{endpoint_id:str}/job-take-batch/{worker_id:str}", guards=[require_worker_key])
async def job_take_batch(
    request: HttpRequest,
    worker_id: FromPath[str],
    emulator: NamedDependency[Emulator],
    endpoint: NamedDependency[Endpoint],
    batch_size: BatchSize = 1,
) -> Response[list[Message] | None]:
    jobs = await _take(request, emulator, endpoint, worker_id, batch_size)
    if not jobs:
        return Response(None, status_code=NO_CONTENT)
    return Response([worker_message(job) for job in jobs])


async def _take(
    request: HttpRequest, emulator: Emulator, endpoint: Endpoint, worker_id: str, count: int
) -> list[Job] | None:
    def attempt() -> list[Job] | None:
        if emulator.draining:
            return None
        return endpoint.crew.take(worker_id, count) or None

    return await hold(request, emulator.bell, emulator.settings.long_poll, attempt)


@get("/v2/{endpoint_id:str}/job-stop/{worker_id:str}", guards=[require_worker_key])
async def job_stop(
    request: HttpRequest,
    worker_id: FromPath[str],
    emulator: NamedDependency[Emulator],
    endpoint: NamedDependency[Endpoint],
) -> Response[Message | None]:
    def attempt() -> list[str] | None:
        return endpoint.crew.stops(worker_id) or None

    stops = await hold(request, emulator.bell, emulator.settings.long_poll, attempt)
    if stops is None:
        return Response(None, status_code=NO_CONTENT)
    return Response({"jobsToStop": stops})


@post(
    "/v2/{endpoint_id:str}/job-done/{worker_id:str}/{job_id:str}",
    status_code=200,
    guards=[require_worker_key],
    request_max_body_size=RUNSYNC_BODY_LIMIT,
)
async def job_done(
    request: HttpRequest,
    worker_id: FromPath[str],
    job_id: FromPath[str],
    emulator: NamedDependency[Emulator],
    endpoint: NamedDependency[Endpoint],
) -> Response[Message]:
    """A result, or a progress update. What comes too late is accepted and changes nothing."""
    done = decode(await request.body(), DonePost)
    if done.status == "IN_PROGRESS":
        endpoint.crew.progress(worker_id, job_id, done.result)
    elif emulator.faults.strikes("drop_done"):
        return Response({}, status_code=emulator.faults.drop_done_status)
    else:
        endpoint.crew.finish(worker_id, job_id, done)
    return Response({})


@post(
    "/v2/{endpoint_id:str}/job-stream/{worker_id:str}/{job_id:str}",
    status_code=200,
    guards=[require_worker_key],
    request_max_body_size=RUNSYNC_BODY_LIMIT,
)
async def job_stream(
    request: HttpRequest,
    worker_id: FromPath[str],
    job_id: FromPath[str],
    endpoint: NamedDependency[Endpoint],
) -> Message:
    chunk = decode(await request.body(), StreamPost)
    endpoint.crew.add_chunk(worker_id, job_id, chunk.output)
    return {}


@get("/v2/{endpoint_id:str}/ping/{worker_id:str}", guards=[require_worker_key])
async def ping(
    worker_id: FromPath[str],
    endpoint: NamedDependency[Endpoint],
    job_id: FromQuery[str] = "",
    status: FromQuery[str] = HEALTHY,
) -> Message:
    """`job_id` lists what the worker has, comma-separated; absent when it has nothing."""
    held = [name for name in job_id.split(",") if name]
    endpoint.crew.ping(worker_id, held, healthy=status == HEALTHY)
    return {}


HANDLERS = [job_take, job_take_batch, job_stop, job_done, job_stream, ping]
