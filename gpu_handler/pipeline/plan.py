"""What a job looks for and does, the same for each of its photos."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.presets import Concept, InvalidConcept, Preset, UnknownPreset, find_preset
from shared.rules import ConceptRule, parse_rule
from shared.spelling import fold


class PlanRefused(ValueError):
    """The message asks for what does not exist. `field` names the place, `str()` the reason."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Plan(Struct, frozen=True):
    """`concepts` are all that is looked for, each once: those with a rule, then the protected.

    A concept that is both ruled on and protected is protected alone, so no rule is kept for it.
    """

    concepts: tuple[Concept, ...]
    rules: Mapping[str, ConceptRule]
    protect: frozenset[str]


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
    sought = {key: concept for key, (concept, _) in ruled.items()} | kept
    return Plan(
        tuple(sought.values()),
        {concept.id: rule for key, (concept, rule) in ruled.items() if key not in kept},
        frozenset(concept.id for concept in kept.values()),
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
