"""What is shown: a photo, a rule, and what must not change."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from shared.actions import Action, ConceptRule, canonical_value

TONES = ("warm", "cool", "bright", "dark", "contrast", "vivid", "muted")


class Shot(Struct, frozen=True):
    """One row. `shown` is the concept whose edge is looked at; `telling` rows are in the small
    sheet as well."""

    title: str
    scene: str
    preset: str
    rules: Mapping[str, ConceptRule]
    shown: str
    protect: tuple[str, ...] = ()
    telling: bool = False


def _rules(**wishes: str) -> Mapping[str, ConceptRule]:
    """`Wall="recolor navy"` as a rule."""
    rules: dict[str, ConceptRule] = {}
    for concept, wish in wishes.items():
        name, _, value = wish.partition(" ")
        action = Action(name)
        rules[concept] = ConceptRule(action, canonical_value(action, value))
    return MappingProxyType(rules)


def _room(
    title: str,
    scene: str,
    shown: str,
    *,
    protect: tuple[str, ...] = ("Frame_Molding",),
    telling: bool = False,
    **wishes: str,
) -> Shot:
    return Shot(title, scene, "interior", _rules(**wishes), shown, protect, telling)


def _product(title: str, scene: str, *, telling: bool = False, **wishes: str) -> Shot:
    protect = ("Label_Text", "Logo", "Gloss")
    return Shot(title, scene, "seller", _rules(**wishes), "Body", protect, telling)


SHOTS: tuple[Shot, ...] = (
    _room("Walls to navy", "living room", "Wall", Wall="recolor navy", telling=True),
    _room("Walls to sage", "living room", "Wall", Wall="recolor sage"),
    _room("Walls to off-white", "living room", "Wall", Wall="recolor offwhite_b", telling=True),
    _room("A dark wall to white", "dining room", "Wall", Wall="recolor pure_white", telling=True),
    _room("A light wall to charcoal", "study", "Wall", Wall="recolor charcoal"),
    _room(
        "Walls, floor and ceiling at once",
        "bedroom",
        "Wall",
        Wall="recolor dusty_blue",
        Floor="recolor oak_a",
        Ceiling="recolor cream",
    ),
    _room("Oak in perspective", "dining room", "Floor", Floor="texture oak_a", telling=True),
    _room(
        "Walnut herringbone in perspective",
        "loft",
        "Floor",
        Floor="texture herringbone_walnut",
        telling=True,
    ),
    _room("A marble floor", "study", "Floor", Floor="texture marble_white"),
    _room("Terracotta tiles", "bedroom", "Floor", Floor="texture terracotta_tile"),
    _room("Brick, upright", "study", "Wall", Wall="texture brick_red", telling=True),
    _room("Subway tiles, upright", "dining room", "Wall", Wall="texture subway_green"),
    _room("Concrete walls", "living room", "Wall", Wall="texture concrete_a"),
    _room("A sofa taken off the floor", "loft", "Sofa", Sofa="remove ", telling=True),
    _room(
        "The sofa taken out, the floor in oak",
        "loft",
        "Floor",
        Sofa="remove ",
        Floor="texture oak_b",
    ),
    _room("A picture taken off the wall", "living room", "Picture", Picture="remove "),
    _product(
        "A bottle to terracotta, label and logo kept",
        "bottle",
        Body="recolor terracotta",
        telling=True,
    ),
    _product("A box to forest green, logo kept", "gift box", Body="recolor forest_green"),
    _product("A mug to navy, logo and gloss kept", "mug", Body="recolor navy"),
    _product("Linen on a box", "gift box", Body="texture linen"),
)


def photo_shots(name: str, preset: str) -> tuple[Shot, ...]:
    """What is shown on a person's photo."""
    if preset == "seller":
        return (
            _product(f"{name}: to terracotta", name, Body="recolor terracotta"),
            _product(f"{name}: to navy", name, Body="recolor navy"),
            _product(f"{name}: more vivid", name, Body="tone vivid"),
            _product(f"{name}: linen", name, Body="texture linen"),
        )
    return (
        _room(f"{name}: walls to navy", name, "Wall", Wall="recolor navy"),
        _room(f"{name}: walls to off-white", name, "Wall", Wall="recolor offwhite_b"),
        _room(f"{name}: walls warmer", name, "Wall", Wall="tone warm"),
        _room(f"{name}: brick", name, "Wall", Wall="texture brick_red"),
        _room(f"{name}: oak floor", name, "Floor", Floor="texture oak_a"),
        _room(f"{name}: lamps taken out", name, "Light", Light="remove "),
    )


def tone_shots(scene: str = "living room") -> tuple[Shot, ...]:
    """Each named tone on the same wall."""
    return tuple(_room(tone, scene, "Wall", Wall=f"tone {tone}") for tone in TONES)
