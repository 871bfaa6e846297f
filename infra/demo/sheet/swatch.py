"""What a rule looks like: a small picture of each colour, material or tone, and its name."""

from msgspec import structs
from PIL import Image

from infra.client import RuleAction
from infra.demo.sheet.canvas import CARD, LINE, MUTED
from infra.demo.sheet.lettering import drawable
from shared.materials import UnknownMaterial, resolve_material
from shared.rules import InvalidTone, parse_tone

_TONES = {
    "warmth": ("#5C93C4", "#B7B5B1", "#E2954A"),
    "brightness": ("#2F2D2A", "#A5A29C", "#FAF8F3"),
    "saturation": ("#A79C94", "#BD8270", "#E2512F"),
    "contrast": ("#8E8B86", "#A5A29C", "#F3F0EA"),
}
"""What a tone's parameter leads to below zero, from where, and what to above zero."""

_UNKNOWN = (CARD, LINE)


def swatch(rule: RuleAction, size: tuple[int, int]) -> Image.Image:
    """An RGB picture: a flat colour, or a gradient from what was to what it becomes."""
    match rule.action:
        case "recolor" | "texture":
            color = _color(rule.value)
            return gradient(*((color, color) if color else _UNKNOWN), size)
        case "tone":
            return gradient(*_tone_colors(rule.value or ""), size)
        case _:
            return gradient(*_UNKNOWN, size)


def gradient(first: str, last: str, size: tuple[int, int]) -> Image.Image:
    """From `first` on the left to `last` on the right."""
    start, end = Image.new("RGB", size, first), Image.new("RGB", size, last)
    ramp = Image.linear_gradient("L").rotate(90).resize(size)
    return Image.composite(end, start, ramp)


def described(rule: RuleAction) -> str:
    """The value in words that the bundled font can draw: `Sage`, `tone warm`, `#7FA8C9`."""
    value = (rule.value or "").strip()
    if not value:
        return rule.action if rule.action == "remove" else f"{rule.action}, by default"
    if rule.action == "tone":
        return drawable(f"tone {value}", "tone")
    try:
        material = resolve_material(value)
    except UnknownMaterial:
        return drawable(value, rule.action)
    name = drawable(material.name_en, material.id)
    return name if rule.action == "recolor" else f"{rule.action} {name}"


def _color(value: str | None) -> str | None:
    try:
        return resolve_material(value or "").hex
    except UnknownMaterial:
        return None


def _tone_colors(value: str) -> tuple[str, str]:
    """From what was to what the strongest parameter of the tone makes of it."""
    try:
        parameters = structs.asdict(parse_tone(value))
    except InvalidTone:
        return _UNKNOWN
    name = max(parameters, key=lambda name: abs(parameters[name]))
    less, same, more = _TONES[name]
    return same, more if parameters[name] > 0 else less


def edge_color(rule: RuleAction) -> str:
    """A line around the swatch that shows on white also where the colour does not."""
    return MUTED if rule.action == "remove" else LINE
