"""What may be done to a concept: the actions, their canonical values, and both as pixels take them.

A canonical value is what a job runs with: `recolor` a material id or `#RRGGBB`, `tone` a name or
sorted `key=value` pairs, `texture` the id of a material that has one, `remove` the empty string.
"""

from enum import StrEnum
from typing import TypeAlias, assert_never

from msgspec import Struct

from shared.materials import MATERIALS, Material, UnknownMaterial, resolve_material
from shared.spelling import LONGEST_NAME, fold, nearest, quoted
from shared.tone import InvalidTone, ToneParameters, canonical_tone, parse_tone


class Action(StrEnum):
    RECOLOR = "recolor"  # another colour, light and shade kept
    TONE = "tone"  # warmer, brighter, more vivid …
    TEXTURE = "texture"  # a material's pattern laid onto the surface
    REMOVE = "remove"  # taken out, what lies around it continued


class ConceptRule(Struct, frozen=True):
    """One action with its canonical value: what a job runs with and what its message carries."""

    action: Action
    value: str = ""


class InvalidAction(ValueError):
    """An action that does not exist; `suggestions` holds those that do."""

    def __init__(self, value: str) -> None:
        super().__init__(f"{quoted(value)} is not an action")
        self.suggestions = nearest(value, Action) or tuple(str(a) for a in Action)


class InvalidValue(ValueError):
    """A value that its action does not take; `suggestions` holds values that it takes."""

    def __init__(self, message: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(message)
        self.suggestions = suggestions


def find_action(name: str) -> Action:
    """The action of that name, whatever its case; raises InvalidAction."""
    try:
        return Action(fold(name) if len(name) <= LONGEST_NAME else name)
    except ValueError:
        raise InvalidAction(name) from None


def _textured(value: str) -> Material:
    material = resolve_material(value)
    if material.texture is None:
        with_texture = [m for m in MATERIALS.values() if m.texture]
        kin = tuple(m.id for m in with_texture if m.family == material.family)
        suggestions = nearest(value, [m.id for m in with_texture]) or kin or _EXAMPLES
        raise InvalidValue(f"{quoted(value)} is a colour without a texture", suggestions[:5])
    return material


_EXAMPLES = ("oak_a", "herringbone_oak", "marble_white", "concrete_a", "subway_white")


def canonical_value(action: Action, value: str) -> str:
    """The canonical value that `value` names for `action`; raises InvalidValue.

    Canonical values come back unchanged. An empty value is one that does not resolve, but for
    `remove`, which takes none and ignores it.
    """
    try:
        match action:
            case Action.RECOLOR:
                return resolve_material(value).id
            case Action.TONE:
                return canonical_tone(value)
            case Action.TEXTURE:
                return _textured(value).id
            case Action.REMOVE:
                return ""
            case _:
                assert_never(action)
    except (UnknownMaterial, InvalidTone) as error:
        raise InvalidValue(str(error), error.suggestions) from error


class Recolor(Struct, frozen=True):
    """Paint in `rgb` (sRGB, each 0..255), the colour of `material` (a material id or a hex)."""

    rgb: tuple[int, int, int]
    material: str


class Tone(Struct, frozen=True):
    """Shift by `parameters`."""

    parameters: ToneParameters


class Texture(Struct, frozen=True):
    """Lay the texture of the material with this id."""

    material: str


class Remove(Struct, frozen=True):
    """Take out and continue what lies around."""


PixelRule: TypeAlias = Recolor | Tone | Texture | Remove


def parse_rule(rule: ConceptRule) -> PixelRule:
    """The rule as pixels take it; raises ValueError where its value is not canonical."""
    if canonical_value(rule.action, rule.value) != rule.value:
        raise ValueError(f"{quoted(rule.value)} is not a canonical value of {rule.action}")
    match rule.action:
        case Action.RECOLOR:
            return Recolor(resolve_material(rule.value).rgb, rule.value)
        case Action.TONE:
            return Tone(parse_tone(rule.value))
        case Action.TEXTURE:
            return Texture(rule.value)
        case Action.REMOVE:
            return Remove()
        case _:
            assert_never(rule.action)
