"""A room's ceiling, floor and walls, from where regions lie and how plain they are.

What is doubtful is left out: paint on a sofa is worse than a patch of wall without paint.
"""

import numpy as np
from msgspec import Struct

from gpu_handler.segment.classical.overhead import find_ceiling
from gpu_handler.segment.classical.scene import Scene
from gpu_handler.segment.classical.shapes import Mask, local_mean, pieces
from gpu_handler.segment.classical.underfoot import find_floor
from gpu_handler.segment.classical.upright import find_walls
from gpu_handler.segment.classical.view import View

_CALM = 2.5  # CIELAB units per pixel: steeper is an edge that paint must not cross
_ALIKE = 7.0  # CIELAB units, summed over the channels


class Room(Struct, frozen=True, eq=False):
    """(h, w) bool masks; none overlaps another."""

    ceiling: Mask
    floor: Mask
    wall: Mask


def read_room(fine: Scene, coarse: Scene) -> Room:
    """`coarse` lets rough floors hold together, `fine` keeps plain walls apart."""
    ceiling = find_ceiling(fine)
    wall = find_walls(fine, ceiling)
    if ceiling and not wall:
        wall, ceiling = ceiling, set[int]()
    above, around = fine.mask(ceiling), fine.mask(wall)
    floor = find_floor(fine, coarse, around) & ~above & ~around
    return Room(*_seep(fine.view, above, floor, around))


def _seep(view: View, *surfaces: Mask) -> list[Mask]:
    """Each surface with the pixels next to it that nobody has and that look just like it."""
    free = ~np.logical_or.reduce(surfaces)
    flat = view.gradient < _CALM
    grown: list[Mask] = []
    for surface in surfaces:
        color, weight = local_mean(view.lab, surface, 7)
        far = np.abs(view.lab - color).sum(axis=2)
        alike = free & flat & (weight > 0.02) & (far < _ALIKE)
        labels, area = pieces(surface | alike)
        keep = np.zeros(len(area), np.bool_)
        keep[np.unique(labels[surface])] = True
        grown.append(keep[labels])
        free &= ~grown[-1]
    return grown
