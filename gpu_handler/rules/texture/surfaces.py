"""What kind of surface a concept names: how it lies in a room, and how it is worked."""

import unicodedata
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gpu_handler.rules.texture.camera import Camera
from gpu_handler.rules.texture.outline import Outline


class Lie(StrEnum):
    FLOOR = "floor"
    CEILING = "ceiling"
    TABLE = "table"  # level and about as high as a table
    WALL = "wall"
    SPLASHBACK = "splashback"  # from a worktop upwards
    DOOR = "door"
    WINDOW = "window"
    BOX = "box"  # stands on the floor and has faces of its own: a cupboard
    BODY = "body"  # a thing of its own, seen from the front


# The last word that is known decides: a "floor lamp" is a lamp, a "tiled floor" a floor.
_WORDS: dict[Lie, tuple[str, ...]] = {
    Lie.FLOOR: (
        *("floor", "floors", "flooring", "floorboards", "rug", "carpet", "mat", "parquet", "deck"),
        *("decking", "terrace", "patio", "pavement", "paving", "ground", "laminate", "linoleum"),
        *("바닥", "마루", "러그", "카펫", "카페트", "매트", "데크"),
    ),
    Lie.CEILING: ("ceiling", "천장"),
    Lie.TABLE: (
        *("countertop", "counter", "worktop", "tabletop", "table", "desk", "island", "vanity"),
        *("top", "상판", "테이블", "탁자", "식탁", "책상"),
    ),
    Lie.WALL: (
        *("wall", "walls", "wallpaper", "wainscot", "wainscoting", "panelling", "paneling"),
        *("facade", "fence", "partition", "curtain", "curtains", "blind", "blinds"),
        *("molding", "moulding", "baseboard", "skirting", "trim", "frame"),
        *("벽", "벽지", "몰딩", "커튼"),
    ),
    Lie.SPLASHBACK: ("backsplash", "splashback"),
    Lie.DOOR: ("door", "doors", "문"),
    Lie.WINDOW: ("window", "windows", "창문"),
    Lie.BOX: (
        *("cabinet", "cabinets", "cupboard", "cupboards", "wardrobe", "closet", "bookcase"),
        *("bookshelf", "shelf", "shelves", "fireplace", "수납장", "붙박이장", "옷장", "책장"),
    ),
    Lie.BODY: ("lamp", "light", "chair", "sofa", "handle", "조명", "의자", "소파", "손잡이"),
}
_LIES = {word: lie for lie, words in _WORDS.items() for word in words}
_TILES = frozenset(("tile", "tiles", "grout", "타일", "줄눈"))  # on floors and on walls

_WORKTOP = 1.45 / 5
"""How far below the camera the lower edge of a tiled wall is, over its depth, if that is 5 m."""

LEVEL = frozenset((Lie.FLOOR, Lie.CEILING, Lie.TABLE))
JOINERY = frozenset((Lie.DOOR, Lie.WINDOW, Lie.BOX))
"""Wood is laid with its grain upright there, as joiners do."""

RELIEF = JOINERY | {Lie.BODY}
"""Fine shading is their own shape: panels, folds. Flat surfaces have a pattern instead."""


def lie_of(concept: str) -> Lie | None:
    """How the surface lies, by its name; None for tiles, which may be anywhere (`tiles_lie`)."""
    words = unicodedata.normalize("NFKC", concept).casefold().replace("_", " ").split()
    for word in reversed(words):
        if word in _LIES:
            return _LIES[word]
        if word in _TILES:
            return None
    return Lie.BODY


def tiles_lie(mask: Outline, camera: Camera) -> Lie:
    """Where tiles are. Below the horizon and reaching far down the photo they are underfoot. On a
    wall they begin at a worktop where the floor would have to be farther away than kitchens and
    baths are wide. The mask must not be empty."""
    cells = mask.cells()
    down: NDArray[np.float64] = camera.rays()[1] @ cells
    depth: NDArray[np.float64] = camera.rays()[2] @ cells
    reaches = float(np.quantile(cells[1], 0.95)) > 0.72 * camera.shape[0]
    if reaches and float(np.mean(down > 0)) > 0.9:
        return Lie.FLOOR
    lowest = float(np.quantile(down / np.maximum(depth, 0.1), 0.97))
    return Lie.SPLASHBACK if 0 < lowest < _WORKTOP else Lie.WALL
