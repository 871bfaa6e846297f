"""Which pattern is drawn how, and how large its tile is: the one place to add a pattern."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from msgspec import Struct

from gpu_handler.imaging.color import Array
from gpu_handler.rules.texture.materials import cloth, masonry, stone, wood
from gpu_handler.rules.texture.materials.noise import Chance

Draw = Callable[[int, Chance, tuple[int, int, int]], Array]


class Pattern(Struct, frozen=True):
    """`draw(n, chance, rgb)` gives (n, n, 3) float32 of about 0..255 that wraps around, n a power
    of two from 64 on; `metres` is the side of that tile."""

    draw: Draw
    metres: float


PATTERNS: Mapping[str, Pattern] = MappingProxyType(
    {
        "planks": Pattern(wood.planks, 1.6),  # boards of 16 cm
        "herringbone": Pattern(wood.staves, 1.28),  # staves of 8 x 32 cm
        "marble": Pattern(stone.marble, 1.8),
        "granite": Pattern(stone.granite, 0.6),
        "travertine": Pattern(stone.travertine, 1.2),
        "slate": Pattern(stone.slate, 1.2),
        "terrazzo": Pattern(stone.terrazzo, 0.8),
        "concrete": Pattern(stone.concrete, 2.4),
        "plaster": Pattern(stone.plaster, 2.0),
        "brick": Pattern(masonry.brick, 0.9),  # courses of 7.5 cm, bricks of 22 cm
        "subway_tiles": Pattern(masonry.subway_tiles, 0.6),  # 7.5 x 15 cm
        "square_tiles": Pattern(masonry.square_tiles, 1.2),  # 30 cm
        "mosaic": Pattern(masonry.mosaic, 0.8),  # 2.5 cm
        "hexagon_tiles": Pattern(masonry.hexagon_tiles, 1.2),  # 20 cm
        "weave": Pattern(cloth.weave, 0.25),  # threads of 2 mm
        "boucle": Pattern(cloth.boucle, 0.4),
        "felt": Pattern(cloth.felt, 0.5),
        "leather": Pattern(cloth.leather, 0.4),
        "paper": Pattern(cloth.paper, 0.5),
        "brushed_metal": Pattern(cloth.brushed_metal, 0.4),
        "frosted": Pattern(cloth.frosted, 0.6),
    }
)

_BOLD_WALNUT = partial(wood.planks, contrast=1.5, spread=0.1)

SPECIAL: Mapping[str, Draw] = MappingProxyType(
    {
        "walnut": _BOLD_WALNUT,  # dark streaks, boards of very different tone
        "herringbone_walnut": partial(wood.staves, contrast=1.4, spread=0.1),
        "teak": partial(wood.planks, contrast=1.3),
        "wenge": partial(wood.planks, contrast=1.6),
        "maple": partial(wood.planks, contrast=0.5, spread=0.04),
        "birch": partial(wood.planks, contrast=0.5, spread=0.04),
        "bamboo": partial(wood.planks, contrast=0.4, spread=0.05),
        "white_oak": partial(wood.planks, contrast=0.8, spread=0.05),
    }
)
"""Materials, by id, that are not drawn as their pattern usually is."""
