"""Where workers pull their jobs: only there where DISPATCH is queue."""

import asyncio

from litestar import Controller, Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from edge_api.controllers.auth import Connection, json_only
from edge_api.controllers.envelope import Envelope, ok
from edge_api.controllers.openapi import errors
from edge_api.domain.errors import AuthRequired, TokenInvalid
from edge_api.services import Services
from shared.queue import (
    MAX_OUTPUT_BYTES,
    FinishData,
    FinishRequest,
    LeaseData,
    LeaseRequest,
    RenewData,
    RenewRequest,
)

_ALWAYS = ("AUTH_REQUIRED", "TOKEN_INVALID", "NOT_FOUND")


async def worker_only(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: `json_only`, then one of QUEUE_TOKEN's, or a 401. No account's token will do."""
    await json_only(connection, handler)
    header = connection.headers.get("authorization", "").strip()
    if not header:
        raise AuthRequired
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid
    services: Services = connection.app.state.services
    services.leases.admit(token.strip())


class QueueController(Controller):
    path = "/queue"
    tags = ("Queue",)
    guards = (worker_only,)
    security = ({"queueToken": []},)

    @post("/lease", operation_id="LeaseJob", status_code=200, responses=errors(*_ALWAYS))
    async def lease(
        self,
        request: Request[object, object, State],
        services: NamedDependency[Services],
        data: JSONBody[LeaseRequest],
    ) -> Envelope[LeaseData]:
        """One job, which no other worker has; `job` is null where none came within `wait`."""
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            return ok(LeaseData(await services.leases.lease(data, gone)))
        finally:
            gone.cancel()

    @post(
        "/{queued_id:str}/renew",
        operation_id="RenewLease",
        status_code=200,
        responses=errors(*_ALWAYS, "SUPERSEDED"),
    )
    async def renew(
        self,
        services: NamedDependency[Services],
        queued_id: FromPath[str],
        data: JSONBody[RenewRequest],
    ) -> Envelope[RenewData]:
        """Hold the job for as long again. 409 where it is no more this worker's."""
        return ok(await services.leases.renew(queued_id, data.lease))

    @post(
        "/{queued_id:str}/finish",
        operation_id="FinishJob",
        status_code=200,
        request_max_body_size=MAX_OUTPUT_BYTES,
        responses=errors(*_ALWAYS, "SUPERSEDED"),
    )
    async def finish(
        self,
        services: NamedDependency[Services],
        queued_id: FromPath[str],
        data: JSONBody[FinishRequest],
    ) -> Envelope[FinishData]:
        """What came of it. Repeating it with the same lease changes nothing."""
        return ok(FinishData(await services.leases.finish(queued_id, data)))


async def _hung_up(request: Request[object, object, State]) -> None:
    """Until the caller is gone. Its body was read before, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
