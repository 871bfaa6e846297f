"""What a browser may do: PUT straight from the app's web build, from any origin."""

from infra.local.store.http import Reply, Request
from infra.local.store.refusals import Refusal, S3Error

METHODS = ("GET", "PUT", "HEAD", "DELETE")
HEADERS = frozenset({"content-type", "if-none-match", "if-match"})

ON_EVERY_REPLY = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "ETag",
}


def preflight(request: Request) -> Reply:
    """Answer a browser's question; nobody signs one. Raises `Refusal` as S3 does."""
    method = request.headers.get("access-control-request-method")
    if "origin" not in request.headers or method is None:
        raise Refusal(S3Error.BAD_REQUEST, "Insufficient information. Origin and method needed.")
    asked = request.headers.get("access-control-request-headers", "")
    wanted = {name.strip().lower() for name in asked.split(",") if name.strip()}
    if method not in METHODS or not wanted <= HEADERS:
        raise Refusal(S3Error.ACCESS_FORBIDDEN)
    return Reply(
        200,
        {
            "access-control-allow-methods": ", ".join(METHODS),
            "access-control-allow-headers": ", ".join(sorted(HEADERS)),
            "access-control-max-age": "3000",
            "vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        },
    )
