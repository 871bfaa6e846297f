"""Anonymous accounts: signing up, looking at oneself, taking everything along, leaving."""

from litestar import Controller, Request, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody

from edge_api.controllers.auth import Caller, authenticated, json_only
from edge_api.controllers.envelope import Envelope, ok
from edge_api.controllers.openapi import errors
from edge_api.controllers.rules import view_rule
from edge_api.controllers.schemas import (
    Account,
    AccountErased,
    ExportData,
    Me,
    PlanLimits,
    SignUpBody,
)
from edge_api.services import Services


class AuthController(Controller):
    tags = ("Accounts",)
    guards = (json_only,)

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

    @delete(
        "/me",
        operation_id="EraseMe",
        status_code=200,
        responses=errors("TOKEN"),
    )
    async def erase_me(
        self, request: Caller, services: NamedDependency[Services]
    ) -> Envelope[AccountErased]:
        """Delete the account with everything in it. There is no way back, and no credit either.

        Says how many rows and objects were deleted. The token is nobody's from here on.
        """
        erased = await services.eraser.erase(request.user)
        return ok(AccountErased(erased.user_id, True, erased.rows, erased.objects, erased.pending))

    @get("/me/export", operation_id="ExportMe", responses=errors("TOKEN"))
    async def export_me(
        self, request: Caller, services: NamedDependency[Services]
    ) -> Envelope[ExportData]:
        """Everything that is kept about the caller: profile, rules, jobs, ledger."""
        export = await services.exports.fetch(request.user)
        rules = [view_rule(rule) for rule in export.rules]
        return ok(ExportData(export.profile, rules, export.jobs, export.ledger))
