"""Tone: shifts of warmth, brightness, contrast and saturation, by name or by number."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
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


def _number(key: str, text: str) -> float:
    """Rounded to thousandths: finer steps are lost in 8 bits."""
    text = text.strip()
    if _NUMBER.fullmatch(text) is None:
        raise InvalidTone(f"{key} needs a number from -1 to 1, not {quoted(text)}")
    value = float(text)
    if not -1.0 <= value <= 1.0:
        raise InvalidTone(f"{key} goes from -1 to 1, not {quoted(text)}")
    return round(value, 3) + 0.0


def _key(text: str) -> str:
    key = fold(text)
    if key not in _KEYS:
        message = f"{quoted(text.strip())} is not a tone parameter"
        raise InvalidTone(message, nearest(text, _KEYS) or _KEYS)
    return key


def _pairs(value: str) -> dict[str, float]:
    if len(value) > _LONGEST_LIST:
        raise InvalidTone(f"a tone has at most {_LONGEST_LIST} characters")
    pairs: dict[str, float] = {}
    for part in re.split(r"[,;]", value):
        name, equals, number = part.partition("=")
        key = _key(name)
        if not equals:
            raise InvalidTone(f"{key} needs a number from -1 to 1", (f"{key}=0.3",))
        if key in pairs:
            raise InvalidTone(f"{key} is given twice")
        pairs[key] = _number(key, number)
    return pairs


def _name(value: str) -> str | None:
    """The tone of that name, None where `value` is a list of parameters; raises InvalidTone."""
    name = fold(value) if len(value) <= LONGEST_NAME else ""
    if name in TONES:
        return name
    if "=" in value:
        return None
    suggestions = nearest(value, (*TONES, *(f"{key}=0.3" for key in _KEYS))) or tuple(TONES)
    raise InvalidTone(f"{quoted(value)} is not a known tone", suggestions)


def parse_tone(value: str) -> ToneParameters:
    """The parameters of a named tone or of `key=value` pairs, parted by commas.

    Raises InvalidTone for an unknown name or key, a key given twice, and a value that is not a
    number in -1..1.
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
