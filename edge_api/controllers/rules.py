"""A user's saved rules."""

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from edge_api.controllers.auth import Caller, authenticated
from edge_api.controllers.envelope import Envelope, ok, timestamp
from edge_api.controllers.idempotency import CLAIM
from edge_api.controllers.openapi import errors
from edge_api.controllers.schemas import (
    CreateRuleBody,
    RuleData,
    RuleDeleted,
    RulesData,
    RuleView,
    SavedConceptRule,
    UpdateRuleBody,
)
from edge_api.services import Services
from edge_api.services.idempotency import Claim
from edge_api.storage.rules import Rule


class RuleController(Controller):
    tags = ("Rules",)
    guards = (authenticated,)

    @get("/rules", operation_id="ListRules", responses=errors("TOKEN"))
    async def list_rules(
        self, request: Caller, services: NamedDependency[Services]
    ) -> Envelope[RulesData]:
        """All of the caller's rules, oldest first."""
        rules = await services.rules.fetch_all(request.user)
        return ok(RulesData([view_rule(rule) for rule in rules]))

    @post(
        "/rules",
        operation_id="CreateRule",
        dependencies=CLAIM,
        responses=errors("TOKEN", "KEYED", "VALIDATION_ERROR", "RULE_SLOT_FULL", "INVALID_PRESET"),
    )
    async def create_rule(
        self,
        request: Caller,
        services: NamedDependency[Services],
        claim: NamedDependency[Claim],
        data: JSONBody[CreateRuleBody],
    ) -> Envelope[RuleData]:
        """Save a rule. Values may stay empty: the preset's defaults are taken when it runs."""
        rule = await services.rules.create(
            request.user, data.name, data.preset_id, data.concepts, data.protect or [], claim
        )
        return ok(RuleData(view_rule(rule)))

    @get(
        "/rules/{rule_id:str}",
        operation_id="GetRule",
        responses=errors("TOKEN", "RULE_NOT_FOUND"),
    )
    async def get_rule(
        self, request: Caller, services: NamedDependency[Services], rule_id: FromPath[str]
    ) -> Envelope[RuleData]:
        """One rule, as it was written."""
        return ok(RuleData(view_rule(await services.rules.fetch(request.user, rule_id))))

    @put(
        "/rules/{rule_id:str}",
        operation_id="UpdateRule",
        responses=errors("TOKEN", "VALIDATION_ERROR", "RULE_NOT_FOUND"),
    )
    async def update_rule(
        self,
        request: Caller,
        services: NamedDependency[Services],
        rule_id: FromPath[str],
        data: JSONBody[UpdateRuleBody | None] = None,
    ) -> Envelope[RuleData]:
        """Change what is given. Jobs that already run keep the values they started with."""
        change = data or UpdateRuleBody()
        rule = await services.rules.update(
            request.user, rule_id, change.name, change.concepts, change.protect
        )
        return ok(RuleData(view_rule(rule)))

    @delete(
        "/rules/{rule_id:str}",
        operation_id="DeleteRule",
        status_code=200,
        responses=errors("TOKEN", "RULE_NOT_FOUND"),
    )
    async def delete_rule(
        self, request: Caller, services: NamedDependency[Services], rule_id: FromPath[str]
    ) -> Envelope[RuleDeleted]:
        """Delete a rule and free its slot."""
        await services.rules.delete(request.user, rule_id)
        return ok(RuleDeleted(rule_id))


def view_rule(rule: Rule) -> RuleView:
    return RuleView(
        id=rule.id,
        name=rule.name,
        preset_id=rule.preset_id,
        created_at=timestamp(rule.created_at),
        updated_at=timestamp(rule.updated_at),
        concepts={
            concept: SavedConceptRule(requested.action, requested.value or "")
            for concept, requested in rule.concepts.items()
        },
        protect=list(rule.protect),
    )
