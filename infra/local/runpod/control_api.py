"""The switchboard, which the real service does not have: faults, and news of containers."""

from litestar import Response, get, post
from litestar.di import NamedDependency

from infra.local.runpod.access import HttpRequest, require_api_key
from infra.local.runpod.emulator import Emulator
from infra.local.runpod.faults import Control
from infra.local.runpod.requests import decode
from infra.local.runpod.settings import CONTROL_BODY_LIMIT

Report = Response[dict[str, object]]


@post(
    "/_control",
    status_code=200,
    guards=[require_api_key],
    request_max_body_size=CONTROL_BODY_LIMIT,
)
async def change(request: HttpRequest, emulator: NamedDependency[Emulator]) -> Report:
    """Only the fields that are sent change. Answers as GET does."""
    emulator.control(decode(await request.body(), Control))
    return Response(emulator.report())


@get("/_control", guards=[require_api_key])
async def show(emulator: NamedDependency[Emulator]) -> Report:
    return Response(emulator.report())


HANDLERS = [change, show]
