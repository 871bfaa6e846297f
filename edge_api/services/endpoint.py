"""How the endpoint does, for operators: what the database knows, and what Runpod says now."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from edge_api.clients.runpod import (
    RunpodDenied,
    RunpodError,
    RunpodForgotten,
    Workers,
)
from edge_api.clients.workers import WorkerQueue
from edge_api.services.breaker import THRESHOLD
from edge_api.storage.endpoints import Breaker, last_signs
from edge_api.storage.statistics import read_work


class BreakerState(Struct, frozen=True):
    """`state` is `closed`, `open` (nothing is submitted), or `trying`: the next job finds out."""

    state: str
    failures: int
    open_seconds: float
    last_error: str | None


class Signs(Struct, frozen=True):
    """When the endpoint last took an attempt, began one, and had a photo done."""

    taken: datetime | None
    begun: datetime | None
    done: datetime | None


class EndpointState(Struct, frozen=True):
    """`workers` by state, or a sentence that says why nobody knows; `dispatches` by state are
    those of every endpoint that are not over."""

    endpoint_id: str
    breaker: BreakerState
    workers: dict[str, int] | str
    dispatches: dict[str, int]
    oldest_waiting_seconds: float | None
    last: Signs


def read_endpoint(
    connection: Connection, endpoint_id: str, workers: dict[str, int] | str, now: float
) -> EndpointState:
    moment = datetime.fromtimestamp(now, UTC)
    work = read_work(connection, endpoint_id, moment.date().isoformat())
    since = work.waiting_since
    signs = last_signs(connection, endpoint_id)
    return EndpointState(
        endpoint_id,
        _breaker(work.breaker, now),
        workers,
        work.dispatches,
        None if since is None else round(max(0.0, now - since), 1),
        Signs(_moment(signs.taken_at), _moment(signs.begun_at), _moment(signs.done_at)),
    )


async def ask_workers(runpod: WorkerQueue, endpoint_id: str) -> dict[str, int] | str:
    """Of Runpod, now."""
    try:
        workers: Workers = await runpod.workers(endpoint_id)
    except RunpodDenied as error:
        return f"Not known: Runpod does not accept RUNPOD_API_KEY ({error})."
    except RunpodForgotten as error:
        return f"Not known: Runpod has no endpoint {endpoint_id} ({error})."
    except RunpodError as error:
        return f"Not known: Runpod did not say ({error})."
    return msgspec.structs.asdict(workers)


def _breaker(breaker: Breaker, now: float) -> BreakerState:
    left = max(0.0, breaker.open_until - now)
    state = "closed"
    if breaker.failures >= THRESHOLD:
        state = "open" if left else "trying"
    return BreakerState(state, breaker.failures, round(left, 1), breaker.last_error)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
