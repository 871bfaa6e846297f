"""Rows of saved rules. The owner stands in every WHERE."""

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


def replace_rule(connection: Connection, user_id: str, rule: Rule) -> bool:
    changed = connection.execute(
        update(rules)
        .where(rules.c.id == rule.id, rules.c.user_id == user_id)
        .values(**_columns(rule))
    )
    return changed.rowcount == 1


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
        "concepts": {
            concept: {"action": requested.action, "value": requested.value or ""}
            for concept, requested in rule.concepts.items()
        },
        "protect": rule.protect,
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
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
