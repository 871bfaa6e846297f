"""Who calls: the bearer token, and the account behind it."""

from litestar import Controller, Request, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody

from edge_api.controllers.envelope import Envelope, ok
from edge_api.controllers.openapi import errors
from edge_api.controllers.schemas import Account, Me, PlanLimits, SignUpBody
from edge_api.domain.errors import AuthRequired, TokenInvalid, UnsupportedMediaType
from edge_api.services import Services

Connection = ASGIConnection[BaseRouteHandler, object, object, State]


Caller = Request[str, object, State]
"""A request whose `user` is the id of the account behind the token."""


async def authenticated(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard: put the caller's user id into the scope, or raise a 401."""
    header = connection.headers.get("authorization", "")
    if not header.strip():
        raise AuthRequired
    scheme, _space, token = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid
    services: Services = connection.app.state.services
    connection.scope["user"] = user_id = services.accounts.authenticate(token.strip())
    left = await services.calls.count(user_id)
    if left is not None:
        connection.scope["state"]["calls_left"] = left


async def json_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard: a body that says it is something else than JSON is refused before it is read."""
    media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType


class AuthController(Controller):
    tags = ("Accounts",)

    @post(
        "/auth/anon",
        operation_id="SignUp",
        status_code=200,
        security=[{}],
        responses=errors("RATE_LIMITED"),
    )
    async def sign_up(
        self,
        request: Request[object, object, State],
        services: NamedDependency[Services],
        data: JSONBody[SignUpBody | None] = None,
    ) -> Envelope[Account]:
        """Open an anonymous account. A known device gets its own account again.

        An Authorization header is ignored here, stale or not.
        """
        peer = request.client.host if request.client else ""
        forwarded = ",".join(request.headers.getall("x-forwarded-for", []))
        address = services.proxies.client(peer, forwarded)
        signed = await services.accounts.sign_up(data.device_hash if data else None, address)
        return ok(Account(signed.user_id, signed.token, signed.plan, signed.is_new))


class MeController(Controller):
    tags = ("Accounts",)
    guards = (authenticated,)

    @get("/me", operation_id="GetMe", responses=errors("TOKEN"))
    async def me(self, request: Caller, services: NamedDependency[Services]) -> Envelope[Me]:
        """The caller's account, balance and limits."""
        user = await services.accounts.fetch(request.user)
        limits = user.limits
        return ok(
            Me(
                user_id=user.id,
                plan=user.plan,
                credits=user.credits,
                rule_slots=limits.rule_slots,
                concurrent_jobs=limits.concurrent_jobs,
                limits=PlanLimits(
                    items_per_job=limits.items,
                    concurrent_jobs=limits.concurrent_jobs,
                    rule_slots=limits.rule_slots,
                    open_jobs=user.open_jobs,
                    rules=user.rules,
                ),
            )
        )
