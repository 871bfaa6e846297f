"""What Prometheus scrapes."""

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, NotFoundException

from edge_api.services import Services


@get("/metrics", include_in_schema=False)
async def metrics_page(
    request: Request[object, object, State], services: NamedDependency[Services]
) -> Response[bytes]:
    """Prometheus' text format. It is no call of the public API, and nobody counts its callers."""
    access = services.metrics.access
    if access.closed:
        raise NotFoundException
    if not access.admits(request.headers.get("authorization", "")):
        raise NotAuthorizedException(detail="Send METRICS_TOKEN as 'Authorization: Bearer'.")
    return Response(await services.metrics.expose(), media_type="text/plain; version=0.0.4")
