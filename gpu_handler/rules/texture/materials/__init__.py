"""Seamless materials, drawn by code."""

from functools import lru_cache

from gpu_handler.rules.texture.materials.noise import Chance
from gpu_handler.rules.texture.materials.patterns import PATTERNS, SPECIAL
from gpu_handler.rules.texture.materials.tile import Tile, finish
from shared.materials import Material

__all__ = ["Tile", "make_tile"]

SIDE = 1024


@lru_cache(8)
def make_tile(material: Material, side: int = SIDE) -> Tile:
    """The tile of a material: the same one every time, its mean the material's colour.

    Takes up to a second; the last eight are kept, 4 MB each. Raises ValueError for a material
    without a texture, or with one that nobody draws.
    """
    pattern = PATTERNS.get(material.texture or "")
    if pattern is None:
        raise ValueError(f"{material.id} has no texture that can be drawn: {material.texture}")
    draw = SPECIAL.get(material.id, pattern.draw)
    return finish(draw(side, Chance(material.id), material.rgb), material.rgb, pattern.metres)
