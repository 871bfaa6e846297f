"""Materials and colours by any name: `oak_a`, `Oak A`, `오크`, `#7FA8C9`, `white`.

One spelling may mean several things; the first of these wins: an own material (its id, English or
Korean name), a CSS colour name, a hex colour without `#`. So `navy` is the decorator's navy and not
CSS's `#000080`. The letter A of a first variant may be left out: `오프화이트` is `offwhite_a`. A
plain Korean colour word stands for the English one: `남색` is `navy`.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct

from shared.css_colors import CSS_COLORS, KOREAN_COLORS
from shared.spelling import LONGEST_NAME, fold, nearest, quoted
from shared.swatches import SWATCHES


class Material(Struct, frozen=True):
    """A colour and, where it has one, a texture.

    `hex` is `#RRGGBB` in upper case, sRGB: what the material reads as in daylight. `texture` names
    a procedural pattern, None for a plain colour. A free colour has its own hex as `id`.
    """

    id: str
    name_en: str
    name_ko: str
    family: str
    hex: str
    texture: str | None = None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """sRGB, each 0..255."""
        red, green, blue = bytes.fromhex(self.hex[1:])
        return red, green, blue


class UnknownMaterial(ValueError):
    """A colour or material that does not resolve; `suggestions` holds up to 5 known names."""

    def __init__(self, value: str, suggestions: tuple[str, ...] = (), message: str = "") -> None:
        super().__init__(message or f"{quoted(value)} is not a known material or colour")
        self.value = value
        self.suggestions = suggestions


MATERIALS: Mapping[str, Material] = MappingProxyType({s[0]: Material(*s) for s in SWATCHES})


def _key(text: str) -> str:
    return fold(text).replace("gray", "grey")


def _spellings(material: Material) -> Iterator[str]:
    for name in (material.id, material.name_en, material.name_ko):
        yield _key(name)
        if material.id.endswith("_a"):
            stem = _key(name).removesuffix("a")
            yield stem
            yield f"{stem}a"


_BY_SPELLING = {key: m for m in MATERIALS.values() for key in _spellings(m)}
_CSS_BY_SPELLING = {_key(name): name for name in CSS_COLORS}
_KOREAN_BY_SPELLING = {_key(word): _key(name) for word, name in KOREAN_COLORS.items()}
_SUGGESTIBLE = (
    *MATERIALS,
    *(name for m in MATERIALS.values() for name in (m.name_en, m.name_ko)),
    *CSS_COLORS,
    *KOREAN_COLORS,
)
_HEX = re.compile(r"(#?)([0-9A-F]{8}|[0-9A-F]{6}|[0-9A-F]{3,4})")


def _color(hex_value: str, name: str) -> Material:
    return Material(hex_value, name, name, "color", hex_value)


def _hex_color(value: str) -> Material | None:
    """Raises UnknownMaterial for a hex colour with an alpha channel."""
    match = _HEX.fullmatch(unicodedata.normalize("NFKC", value).strip().upper())
    if match is None:
        return None
    mark, digits = match.groups()
    if len(digits) == 4 and not mark:
        return None
    long = digits if len(digits) >= 6 else "".join(2 * d for d in digits)
    canonical = f"#{long[:6]}"
    if len(long) == 8:
        text = f"{quoted(value)} has an alpha channel: a colour is opaque, such as {canonical}"
        raise UnknownMaterial(value, (canonical,), text)
    return _color(canonical, canonical)


def _named(value: str) -> Material | None:
    key = _key(value)
    key = _KOREAN_BY_SPELLING.get(key, key)
    if material := _BY_SPELLING.get(key):
        return material
    name = _CSS_BY_SPELLING.get(key)
    return _color(CSS_COLORS[name], name) if name else None


def _suggestions(value: str) -> tuple[str, ...]:
    """Up to 5 names, each of another material."""
    names: dict[str, str] = {}
    for name in nearest(value, _SUGGESTIBLE, 15):
        if material := _named(name):
            names.setdefault(material.id, name)
    return tuple(names.values())[:5]


def resolve_material(value: str) -> Material:
    """The material or colour that `value` names, whatever its case, spaces, `-` and `_`.

    Takes a material's id, its English or Korean name, a CSS colour name, `#RGB` or `#RRGGBB` (the
    `#` may be missing). Hex and CSS colours give a Material whose `id` is the canonical `#RRGGBB`.
    Raises UnknownMaterial and nothing else.
    """
    if len(value) > LONGEST_NAME:
        raise UnknownMaterial(value)
    if material := _named(value) or _hex_color(value):
        return material
    raise UnknownMaterial(value, _suggestions(value))
