"""Whether the service is up, for load balancers and people."""

from collections.abc import Mapping

from litestar import Controller, get
from litestar.di import NamedDependency

from edge_api.controllers.auth import json_only
from edge_api.controllers.envelope import Envelope, ok
from edge_api.controllers.openapi import errors
from edge_api.controllers.schemas import Health
from edge_api.domain.errors import Unavailable
from edge_api.services import Services
from edge_api.services.health import VERSION, WELL


class HealthController(Controller):
    path = "/health"
    tags = ("Health",)
    security = ({},)
    guards = (json_only,)

    @get("/", operation_id="GetHealth", responses=errors("UNAVAILABLE"))
    async def health(self, services: NamedDependency[Services]) -> Envelope[Health]:
        """`ok` where the database and the bucket answer; 503 with the checks where one does not."""
        return _told(await services.health.checks(), "A part of the service is down.")

    @get("/live", operation_id="GetLiveness", responses=errors("UNAVAILABLE"))
    async def live(self, services: NamedDependency[Services]) -> Envelope[Health]:
        """`ok` where this process keeps up with its work; 503 where it should be started anew.

        It asks neither the database nor anything else that a new start could not mend.
        """
        return _told(services.health.alive(), "This process does not keep up.")

    @get("/ready", operation_id="GetReadiness", responses=errors("UNAVAILABLE"))
    async def ready(self, services: NamedDependency[Services]) -> Envelope[Health]:
        """`ok` where jobs go through; 503 with the checks where one does not hold.

        Beside the database and the bucket: the `schema` has every migration (`ahead`, and ready,
        where a newer version made more of them), no dispatch waits too long in the `queue`, and
        the `endpoint` at Runpod is not being left alone.
        """
        return _told(await services.health.readiness(), "The service cannot carry jobs through.")


def _told(checks: Mapping[str, str], trouble: str) -> Envelope[Health]:
    if not WELL.issuperset(checks.values()):
        raise Unavailable(trouble, {"checks": dict(checks)})
    return ok(Health("ok", VERSION, dict(checks)))
