"""Tone: shifts of warmth, brightness, contrast and saturation, by name, strength or number."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, structs
from msgspec.structs import replace

from shared.spelling import LONGEST_NAME, fold, nearest, quoted


class ToneParameters(Struct, frozen=True):
    """How far a tone goes in each direction, each in -1..1; 0 leaves as it is.

    `warmth`: white balance at constant luminance, towards amber above 0 and towards blue below.
    `brightness`: lightens (> 0) or darkens (< 0) the midtones; black and white stay where they are.
    `contrast`: spreads (> 0) or gathers (< 0) lightness around middle grey.
    `saturation`: strengthens (> 0) or fades (< 0) colours; -1 is grey.
    """

    warmth: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0


class InvalidTone(ValueError):
    """A tone that does not resolve; `suggestions` holds known tones or parameters."""

    def __init__(self, message: str, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.suggestions = suggestions


TONES: Mapping[str, ToneParameters] = MappingProxyType(
    {
        "warm": ToneParameters(warmth=0.4),
        "cool": ToneParameters(warmth=-0.4),
        "bright": ToneParameters(brightness=0.35),
        "dark": ToneParameters(brightness=-0.35),
        "vivid": ToneParameters(saturation=0.35, contrast=0.1),
        "muted": ToneParameters(saturation=-0.4, contrast=-0.1),
        "contrast": ToneParameters(contrast=0.3),
    }
)

_KEYS = ToneParameters.__struct_fields__
_NUMBER = re.compile(r"[+-]?([0-9]{1,9}\.?[0-9]{0,9}|\.[0-9]{1,9})")
_LONGEST_LIST = 200
_STRONGEST = 2  # of a named tone: twice as far as its name alone


def _number(key: str, text: str, low: int, high: int) -> float:
    """Rounded to thousandths: finer steps are lost in 8 bits."""
    text = text.strip()
    if _NUMBER.fullmatch(text) is None:
        raise InvalidTone(f"{key} needs a number from {low} to {high}, not {quoted(text)}")
    value = float(text)
    if not low <= value <= high:
        raise InvalidTone(f"{key} goes from {low} to {high}, not {quoted(text)}")
    return round(value, 3) + 0.0


def _key(text: str) -> str:
    key = fold(text)
    if key not in _KEYS and key not in TONES:
        message = f"{quoted(text.strip())} is not a tone parameter"
        raise InvalidTone(message, nearest(text, (*_KEYS, *TONES)) or _KEYS)
    return key


def _part(text: str) -> tuple[str, dict[str, float]]:
    """The key of one part of a list, and the parameters that it sets.

    `contrast` is a tone and a parameter: alone it is the tone, with a number the parameter.
    """
    name, equals, number = text.partition("=")
    key = _key(name)
    if not equals and key not in TONES:
        raise InvalidTone(f"{key} needs a number from -1 to 1", (f"{key}=0.3",))
    if equals and key in _KEYS:
        return key, {key: _number(key, number, -1, 1)}
    strength = _number(key, number, 0, _STRONGEST) if equals else 1.0
    moved = {name: value for name, value in structs.asdict(TONES[key]).items() if value}
    return key, {name: strength * value for name, value in moved.items()}


def _pairs(value: str) -> dict[str, float]:
    """The parameters that a list sets, those of tones and numbers added up and kept in -1..1."""
    if len(value) > _LONGEST_LIST:
        raise InvalidTone(f"a tone has at most {_LONGEST_LIST} characters")
    seen: set[str] = set()
    pairs: dict[str, float] = {}
    for part in re.split(r"[,;]", value):
        key, parameters = _part(part)
        if key in seen:
            raise InvalidTone(f"{key} is given twice")
        seen.add(key)
        for name, number in parameters.items():
            pairs[name] = pairs.get(name, 0.0) + number
    return {key: round(min(1.0, max(-1.0, number)), 3) + 0.0 for key, number in pairs.items()}


def _name(value: str) -> str | None:
    """The tone of that name, None where `value` is a list of parameters; raises InvalidTone."""
    name = fold(value) if len(value) <= LONGEST_NAME else ""
    if name in TONES:
        return name
    if not {"=", ",", ";"}.isdisjoint(value):
        return None
    suggestions = nearest(value, (*TONES, *(f"{key}=0.3" for key in _KEYS))) or tuple(TONES)
    raise InvalidTone(f"{quoted(value)} is not a known tone", suggestions)


def parse_tone(value: str) -> ToneParameters:
    """The parameters of a named tone, or of a list parted by commas.

    The list holds parameters, `warmth=0.3`, each in -1..1, and named tones with a strength,
    `vivid=0.5`, in 0..2, 1 where none is given. Raises InvalidTone for an unknown name or key, one
    given twice, and a value that is not a number in its range.
    """
    if name := _name(value):
        return TONES[name]
    return replace(ToneParameters(), **_pairs(value))


def canonical_tone(value: str) -> str:
    """One spelling for each tone: its name, or sorted pairs such as `brightness=-0.1,warmth=0.4`.

    Raises InvalidTone as parse_tone does.
    """
    if name := _name(value):
        return name
    return ",".join(f"{key}={number:g}" for key, number in sorted(_pairs(value).items()))
