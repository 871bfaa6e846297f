"""What a job looks for and does, the same for each of its photos."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.presets import Concept, InvalidConcept, Preset, UnknownPreset, find_preset
from shared.rules import Action, ConceptRule, parse_rule
from shared.spelling import fold


class PlanRefused(ValueError):
    """The message asks for what does not exist. `field` names the place, `str()` the reason."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Plan(Struct, frozen=True):
    """`concepts` are all that is looked for, each once: those with a rule, then the protected, then
    surfaces that nobody asked for but that a removal needs to know.

    A concept that is both ruled on and protected is protected alone, so no rule is kept for it.
    `hosts` are the surfaces that go on behind what is removed, asked for or not; empty where
    nothing is.
    """

    concepts: tuple[Concept, ...]
    rules: Mapping[str, ConceptRule]
    protect: frozenset[str]
    hosts: frozenset[str] = frozenset()

    def asked(self, concept: str) -> bool:
        """Whether somebody asked for this concept, and is told what became of it."""
        return concept in self.rules or concept in self.protect


def make_plan(preset_id: str, concepts: Mapping[str, ConceptRule], protect: Sequence[str]) -> Plan:
    """Resolve names against the preset. Raises PlanRefused, also for values not canonical."""
    preset = _preset(preset_id)
    ruled: dict[str, tuple[Concept, ConceptRule]] = {}
    for name, rule in concepts.items():
        field = f"concepts.{name}"
        concept = _concept(preset, field, name)
        ruled[fold(concept.id)] = concept, _canonical(field, rule)
    protected = [_concept(preset, "protect", name) for name in protect]
    kept = {fold(concept.id): concept for concept in protected}
    rules = {concept.id: rule for key, (concept, rule) in ruled.items() if key not in kept}
    removes = {name for name, rule in rules.items() if rule.action is Action.REMOVE}
    hosts = {fold(c.id): c for c in preset.concepts if c.host and c.id not in removes}
    sought = {key: concept for key, (concept, _) in ruled.items()} | kept
    if removes:
        sought = sought | {key: host for key, host in hosts.items() if key not in sought}
    return Plan(
        tuple(sought.values()),
        rules,
        frozenset(concept.id for concept in kept.values()),
        frozenset(host.id for host in hosts.values()) if removes else frozenset(),
    )


def _preset(preset_id: str) -> Preset:
    try:
        return find_preset(preset_id)
    except UnknownPreset as error:
        raise PlanRefused("preset", str(error)) from error


def _concept(preset: Preset, field: str, name: str) -> Concept:
    try:
        return preset.concept(name)
    except InvalidConcept as error:
        raise PlanRefused(field, str(error)) from error


def _canonical(field: str, rule: ConceptRule) -> ConceptRule:
    try:
        parse_rule(rule)
    except ValueError as error:
        raise PlanRefused(field, str(error)) from error
    return rule
