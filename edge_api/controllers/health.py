"""Whether the service is up, for load balancers and people."""

from litestar import Controller, get
from litestar.di import NamedDependency

from edge_api.controllers.envelope import Envelope, ok
from edge_api.controllers.openapi import errors
from edge_api.controllers.schemas import Health
from edge_api.domain.errors import Unavailable
from edge_api.services import Services
from edge_api.services.health import VERSION


class HealthController(Controller):
    tags = ("Health",)

    @get("/health", operation_id="GetHealth", security=[{}], responses=errors("UNAVAILABLE"))
    async def health(self, services: NamedDependency[Services]) -> Envelope[Health]:
        """`ok` where the database and the bucket answer; 503 with the checks where one does not."""
        checks = await services.health.checks()
        if any(state != "ok" for state in checks.values()):
            raise Unavailable("A part of the service is down.", {"checks": checks})
        return ok(Health("ok", VERSION, checks))
