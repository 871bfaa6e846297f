"""Where the handler reports each item."""

from litestar import Controller, Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from edge_api.controllers.auth import json_only
from edge_api.controllers.envelope import Envelope, ok
from edge_api.controllers.openapi import errors
from edge_api.controllers.schemas import CallbackAnswer
from edge_api.services import Services


class CallbackController(Controller):
    tags = ("Callback",)
    guards = (json_only,)

    @post(
        "/jobs/{job_id:str}/callback",
        operation_id="ReceiveCallback",
        status_code=200,
        security=[{"webhookSignature": []}],
        responses=errors(
            "VALIDATION_ERROR",
            "CALLBACK_UNAUTHORIZED",
            "JOB_NOT_FOUND",
            "ALREADY_CANCELED",
            "SUPERSEDED",
        ),
    )
    async def receive_callback(
        self,
        request: Request[object, object, State],
        services: NamedDependency[Services],
        job_id: FromPath[str],
    ) -> Envelope[CallbackAnswer]:
        """One item ended; signed as Standard Webhooks. Repeating it changes nothing twice."""
        # The signature covers the bytes as they came, so the body is parsed only after it.
        body = await request.body()
        return ok(CallbackAnswer(await services.callbacks.receive(job_id, request.headers, body)))
