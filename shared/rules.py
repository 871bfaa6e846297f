"""Rules: what a person asked for, checked as a whole and made into what a job runs with."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from shared.actions import (
    Action,
    ConceptRule,
    PixelRule,
    Recolor,
    Remove,
    Texture,
    Tone,
    canonical_value,
    parse_rule,
)
from shared.concepts import Concept
from shared.presets import Preset
from shared.spelling import fold, nearest, quoted
from shared.tone import TONES, InvalidTone, ToneParameters, canonical_tone, parse_tone
from shared.wishes import (
    MOST_CONCEPTS,
    InvalidRules,
    Problem,
    RequestedRule,
    Wish,
    read_concepts,
    read_protect,
)

__all__ = [
    "MOST_CONCEPTS",
    "TONES",
    "Action",
    "ConceptRule",
    "InvalidRules",
    "InvalidTone",
    "PixelRule",
    "Problem",
    "Recolor",
    "Remove",
    "RequestedRule",
    "ResolvedRules",
    "RuleWarning",
    "Texture",
    "Tone",
    "ToneParameters",
    "canonical_tone",
    "parse_rule",
    "parse_tone",
    "resolve_rules",
    "validate_rules",
]


class RuleWarning(Struct, frozen=True):
    """Something that was decided for the person: a stable code, a sentence, the concept."""

    code: str
    message: str
    concept: str | None = None


class ResolvedRules(Struct, frozen=True):
    """What a job runs with, by concept id, in the order of the request; never both in one."""

    concepts: dict[str, ConceptRule]
    protect: list[str]
    warnings: list[RuleWarning]


class _Resolution:
    """Wishes settled one by one: what is applied, and what there is to say about it."""

    def __init__(self, kept: Mapping[str, Concept]) -> None:
        self.kept = kept
        self.rules: dict[str, ConceptRule] = {}
        self.warnings: list[RuleWarning] = []
        self.problems: list[Problem] = []

    def _warn(self, code: str, message: str, concept: str) -> None:
        self.warnings.append(RuleWarning(code, message, concept))

    def settle(self, wish: Wish) -> None:
        name, action = wish.concept.id, wish.action
        if fold(name) in self.kept:
            message = f"{name} is protected: its {action} is left out."
            self._warn("PROTECTED_CONCEPT", message, name)
        elif wish.needs_default and action not in wish.concept.defaults:
            self.problems.append(Problem(f"{wish.path}.value", f"{action} of {name} needs a value"))
        else:
            self.rules[name] = ConceptRule(action, self._value(wish))

    def _value(self, wish: Wish) -> str:
        name, action = wish.concept.id, wish.action
        if wish.needs_default:
            default = wish.concept.defaults[action]
            message = f"{name} has no value for {action}: the preset's {quoted(default)} is used."
            self._warn("DEFAULT_VALUE", message, name)
            return default
        if action is Action.REMOVE and not wish.is_empty:
            message = f"remove takes no value: that of {name} is ignored."
            self._warn("VALUE_IGNORED", message, name)
        return canonical_value(action, wish.value)


def _protect_defaults(preset: Preset) -> tuple[dict[str, Concept], RuleWarning]:
    names = ", ".join(preset.protect_defaults)
    message = f"Nothing was named to protect: {names} are protected by default."
    kept = {fold(name): preset.concept(name) for name in preset.protect_defaults}
    return kept, RuleWarning("PROTECT_DEFAULTS", message)


def _open_vocabulary(preset: Preset, concepts: Iterable[Concept]) -> list[RuleWarning]:
    unknown = {fold(c.id): c for c in concepts if not preset.knows(c.id)}
    warnings: list[RuleWarning] = []
    for concept in unknown.values():
        phrase = quoted(concept.prompts[0])
        message = f"{concept.id} is not a concept of {preset.id}: {phrase} is searched for."
        if near := nearest(concept.id, preset.concept_ids, 1):
            message += f" Did you mean {near[0]}?"
        warnings.append(RuleWarning("OPEN_VOCABULARY", message, concept.id))
    return warnings


def resolve_rules(
    preset: Preset,
    concepts: Mapping[str, RequestedRule],
    protect: Sequence[str] | None,
    *,
    protect_defaults: bool = True,
) -> ResolvedRules:
    """What a job runs with: canonical concepts, actions and values, and what was decided for it.

    An empty value takes the preset's default (warning DEFAULT_VALUE); open vocabulary has none and
    needs a value. Where nothing is protected the preset's defaults are, unless `protect_defaults`
    is false (PROTECT_DEFAULTS). A protected concept leaves `concepts` (PROTECTED_CONCEPT); if that
    leaves none, it is a warning (NOTHING_TO_DO). Raises InvalidRules with every problem there is.
    """
    problems: list[Problem] = []
    warnings: list[RuleWarning] = []
    wishes = read_concepts(preset, concepts, problems)
    kept = read_protect(preset, protect or (), problems)
    if not protect and protect_defaults:
        kept, warning = _protect_defaults(preset)
        warnings.append(warning)
    warnings += _open_vocabulary(preset, [*(w.concept for w in wishes), *kept.values()])
    done = _Resolution(kept)
    for wish in wishes:
        done.settle(wish)
    problems += done.problems
    if problems:
        raise InvalidRules(problems)
    warnings += done.warnings
    if not done.rules:
        message = "Nothing is left to change: every photo comes back as it is."
        warnings.append(RuleWarning("NOTHING_TO_DO", message))
    return ResolvedRules(done.rules, [c.id for c in kept.values()], warnings)


def validate_rules(
    preset: Preset, concepts: Mapping[str, RequestedRule], protect: Sequence[str] | None
) -> tuple[dict[str, RequestedRule], list[str]]:
    """A rule to save: canonical concepts and actions, values as they were written (null as "").

    Empty values may be saved. Raises InvalidRules with every problem there is.
    """
    problems: list[Problem] = []
    wishes = read_concepts(preset, concepts, problems)
    kept = read_protect(preset, protect or (), problems)
    if problems:
        raise InvalidRules(problems)
    rules = {w.concept.id: RequestedRule(w.action.value, w.value) for w in wishes}
    return rules, [c.id for c in kept.values()]
