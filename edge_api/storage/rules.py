"""Rows of saved rules. The owner stands in every WHERE."""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, insert, select, update

from edge_api.storage.tables import rules
from shared.rules import RequestedRule


class Rule(Struct, frozen=True):
    """A saved rule; `concepts` and `protect` read back as they were written."""

    id: str
    name: str
    preset_id: str
    concepts: dict[str, RequestedRule]
    protect: list[str]
    created_at: float
    updated_at: float


class RuleChange(Struct, frozen=True):
    """What is None stays as it is."""

    name: str | None = None
    concepts: dict[str, RequestedRule] | None = None
    protect: list[str] | None = None


def insert_rule(connection: Connection, user_id: str, rule: Rule) -> None:
    connection.execute(insert(rules).values(user_id=user_id, **_columns(rule)))


def list_rules(connection: Connection, user_id: str) -> list[Rule]:
    """Oldest first; a user has at most as many as the plan has slots."""
    rows = connection.execute(select(rules).where(rules.c.user_id == user_id).order_by(rules.c.id))
    return [_rule(row) for row in rows]


def find_rule(connection: Connection, user_id: str, rule_id: str) -> Rule | None:
    row = connection.execute(
        select(rules).where(rules.c.id == rule_id, rules.c.user_id == user_id)
    ).one_or_none()
    return None if row is None else _rule(row)


def change_rule(
    connection: Connection, user_id: str, rule_id: str, change: RuleChange, now: float
) -> Rule | None:
    """Write what is given, and nothing else: two changes at once do not undo each other."""
    given: dict[str, object] = {"updated_at": now}
    if change.name is not None:
        given["name"] = change.name
    if change.concepts is not None:
        given["concepts"] = _stored(change.concepts)
    if change.protect is not None:
        given["protect"] = change.protect
    row = connection.execute(
        update(rules)
        .where(rules.c.id == rule_id, rules.c.user_id == user_id)
        .values(**given)
        .returning(rules)
    ).one_or_none()
    return None if row is None else _rule(row)


def delete_rule(connection: Connection, user_id: str, rule_id: str) -> bool:
    gone = connection.execute(
        delete(rules).where(rules.c.id == rule_id, rules.c.user_id == user_id)
    )
    return gone.rowcount == 1


def _columns(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "name": rule.name,
        "preset_id": rule.preset_id,
        "concepts": _stored(rule.concepts),
        "protect": rule.protect,
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
    }


def _stored(concepts: Mapping[str, RequestedRule]) -> dict[str, dict[str, str]]:
    return {
        concept: {"action": requested.action, "value": requested.value or ""}
        for concept, requested in concepts.items()
    }


def _rule(row: Row[tuple[object, ...]]) -> Rule:
    stored = cast("dict[str, dict[str, str]]", row.concepts)
    return Rule(
        id=row.id,
        name=row.name,
        preset_id=row.preset_id,
        concepts={
            concept: RequestedRule(rule["action"], rule["value"])
            for concept, rule in stored.items()
        },
        protect=row.protect,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
