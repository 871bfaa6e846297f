"""What a person asked for, read against a preset: names, actions and values that are understood."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.actions import Action, InvalidAction, InvalidValue, canonical_value, find_action
from shared.concepts import Concept, InvalidConcept
from shared.presets import Preset
from shared.spelling import fold, printable

MOST_CONCEPTS = 32
"""Of `concepts` and of `protect`, each."""


class RequestedRule(Struct, frozen=True):
    """A rule as a person sent it; an empty value asks for the preset's default."""

    action: str
    value: str | None = ""


class Problem(Struct, frozen=True):
    """One thing that does not fit, where it stands (`concepts.Wall.value`, `protect[2]`)."""

    path: str
    message: str
    suggestions: tuple[str, ...] = ()


class InvalidRules(ValueError):
    """All that does not fit in a request, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.path}: {p.message}" for p in problems))
        self.problems = tuple(problems)


class Wish(Struct, frozen=True):
    """An entry of `concepts` whose name, action and value (where it has one) are understood."""

    path: str
    concept: Concept
    action: Action
    value: str

    @property
    def is_empty(self) -> bool:
        return not self.value.strip()

    @property
    def needs_default(self) -> bool:
        return self.is_empty and self.action is not Action.REMOVE


def _read_wish(
    preset: Preset, name: str, rule: RequestedRule, problems: list[Problem]
) -> Wish | None:
    path = f"concepts.{printable(name)}"
    concept = action = None
    value = rule.value or ""
    try:
        concept = preset.concept(name)
    except InvalidConcept as error:
        problems.append(Problem(path, str(error)))
    try:
        action = find_action(rule.action)
        if value.strip():
            canonical_value(action, value)
    except InvalidAction as error:
        problems.append(Problem(f"{path}.action", str(error), error.suggestions))
    except InvalidValue as error:
        problems.append(Problem(f"{path}.value", str(error), error.suggestions))
        return None
    return Wish(path, concept, action, value) if concept and action else None


def read_concepts(
    preset: Preset, concepts: Mapping[str, RequestedRule], problems: list[Problem]
) -> list[Wish]:
    """Every entry that is understood; what is not is added to `problems`."""
    if not concepts:
        problems.append(Problem("concepts", "name at least one concept"))
    if len(concepts) > MOST_CONCEPTS:
        problems.append(Problem("concepts", f"at most {MOST_CONCEPTS} concepts"))
        return []
    wishes: dict[str, Wish] = {}
    for name, rule in concepts.items():
        wish = _read_wish(preset, name, rule, problems)
        if wish and (first := wishes.setdefault(fold(wish.concept.id), wish)) is not wish:
            problems.append(Problem(wish.path, f"names the same concept as {first.path}"))
    return list(wishes.values())


def read_protect(
    preset: Preset, protect: Sequence[str], problems: list[Problem]
) -> dict[str, Concept]:
    """Protected concepts by folded id, one named twice once; `problems` gets what is not a name."""
    if len(protect) > MOST_CONCEPTS:
        problems.append(Problem("protect", f"at most {MOST_CONCEPTS} concepts"))
        return {}
    kept: dict[str, Concept] = {}
    for index, name in enumerate(protect):
        try:
            concept = preset.concept(name)
        except InvalidConcept as error:
            problems.append(Problem(f"protect[{index}]", str(error)))
        else:
            kept.setdefault(fold(concept.id), concept)
    return kept
