"""What the client sends. A field that is not given is left out."""

from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from infra.client.answers import RuleAction


class SignUp(Struct, frozen=True):
    device_hash: str


class CreateJob(Struct, frozen=True):
    preset: str
    item_count: int


class Rule(Struct, frozen=True):
    name: str | UnsetType = UNSET
    preset_id: str | UnsetType = UNSET
    concepts: Mapping[str, RuleAction] | UnsetType = UNSET
    protect: Sequence[str] | UnsetType = UNSET


class Execute(Struct, frozen=True, omit_defaults=True):
    concepts: Mapping[str, RuleAction]
    protect: Sequence[str] | None = None
    rule_id: str | None = None
    output_template: str | None = None
    protect_defaults: bool | None = None
