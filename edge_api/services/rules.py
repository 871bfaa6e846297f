"""Saved rules: validated as an execution would, kept as they were written."""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from edge_api.domain.errors import (
    InvalidRequest,
    PresetNotFound,
    RuleNotFound,
    RuleSlotFull,
    TokenInvalid,
)
from edge_api.domain.ids import new_id
from edge_api.services.idempotency import NO_CLAIM, Claim
from edge_api.storage.database import Database
from edge_api.storage.rules import (
    Rule,
    RuleChange,
    change_rule,
    delete_rule,
    find_rule,
    insert_rule,
    list_rules,
)
from edge_api.storage.users import find_user, release_rule_slot, take_rule_slot
from shared.presets import PRESETS, Preset, UnknownPreset, find_preset
from shared.rules import InvalidRules, RequestedRule, validate_rules


class Rules:
    """A user's rules, as many as the plan has slots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch_all(self, user_id: str) -> list[Rule]:
        """Raises TokenInvalid for an account that is gone."""
        return await self._database.read(read_rules, user_id)

    async def fetch(self, user_id: str, rule_id: str) -> Rule:
        rule = await self._database.read(find_rule, user_id, rule_id)
        if rule is None:
            raise RuleNotFound
        return rule

    async def create(
        self,
        user_id: str,
        name: str,
        preset_id: str,
        concepts: Mapping[str, RequestedRule],
        protect: Sequence[str],
        claim: Claim = NO_CLAIM,
    ) -> Rule:
        if claim.result is not None:
            return await self.fetch(user_id, claim.result)
        now = time.time()
        checked, protected = _validate(known_preset(preset_id), concepts, protect)
        rule = Rule(new_id("rule"), name, preset_id, checked, protected, now, now)
        save = claim.settling(save_rule, lambda _: rule.id)
        await self._database.write(save, user_id, rule)
        return rule

    async def update(
        self,
        user_id: str,
        rule_id: str,
        name: str | None,
        concepts: Mapping[str, RequestedRule] | None,
        protect: Sequence[str] | None,
    ) -> Rule:
        """What is None stays as it is."""
        rule = await self.fetch(user_id, rule_id)
        checked, protected = _validate(
            known_preset(rule.preset_id),
            rule.concepts if concepts is None else concepts,
            rule.protect if protect is None else protect,
        )
        change = RuleChange(
            name=name,
            concepts=None if concepts is None else checked,
            protect=None if protect is None else protected,
        )
        changed = await self._database.write(change_rule, user_id, rule_id, change, time.time())
        if changed is None:
            raise RuleNotFound
        return changed

    async def delete(self, user_id: str, rule_id: str) -> None:
        if not await self._database.write(drop_rule, user_id, rule_id):
            raise RuleNotFound


def known_preset(preset_id: str) -> Preset:
    try:
        return find_preset(preset_id)
    except UnknownPreset as error:
        raise PresetNotFound(preset_id, list(PRESETS)) from error


def read_rules(connection: Connection, user_id: str) -> list[Rule]:
    rules = list_rules(connection, user_id)
    if not rules and find_user(connection, user_id) is None:
        raise TokenInvalid
    return rules


def save_rule(connection: Connection, user_id: str, rule: Rule) -> None:
    """Take a slot and insert, or raise RuleSlotFull."""
    user = find_user(connection, user_id)
    if user is None:
        raise TokenInvalid
    if not take_rule_slot(connection, user_id, user.limits.rule_slots):
        raise RuleSlotFull(user.limits.rule_slots)
    insert_rule(connection, user_id, rule)


def drop_rule(connection: Connection, user_id: str, rule_id: str) -> bool:
    if not delete_rule(connection, user_id, rule_id):
        return False
    release_rule_slot(connection, user_id)
    return True


def _validate(
    preset: Preset, concepts: Mapping[str, RequestedRule], protect: Sequence[str]
) -> tuple[dict[str, RequestedRule], list[str]]:
    try:
        return validate_rules(preset, concepts, protect)
    except InvalidRules as error:
        raise InvalidRequest(error.problems) from error
