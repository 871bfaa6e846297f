"""Level surfaces: floors, ceilings, table tops."""

import numpy as np
from msgspec import Struct

from gpu_handler.backends.base import Plane
from gpu_handler.rules.texture.camera import Camera, Matrix
from gpu_handler.rules.texture.outline import Outline
from gpu_handler.rules.texture.surfaces import Lie

EYE = 1.45
"""Metres from the floor to the camera: held before the chest, or on a tripod."""

CEILING = 2.5
"""Metres from floor to ceiling: the usual height of a flat's rooms."""

TABLE = 0.9
"""Metres from the floor to a kitchen's worktop (EN 1116)."""

_FARTHEST = 60.0  # metres; beyond, a tile is its mean colour


class Drop(Struct, frozen=True):
    """A level plane `below` the camera, in metres (negative: above); `turn` in radians is how far
    the tile's u axis is turned from the room's depth to its right."""

    below: float
    turn: float = 0.0


def drop_of(lie: Lie, mask: Outline, camera: Camera) -> Drop:
    """Where a level surface is; worktops have the tile along their longer side."""
    match lie:
        case Lie.CEILING:
            return Drop(EYE - CEILING)
        case Lie.TABLE:
            return Drop(EYE - TABLE, np.pi / 2 if _wide(mask, camera) else 0.0)
        case _:
            return Drop(EYE)


def above_horizon(mask: Outline, camera: Camera, drop: Drop) -> float:
    """The share 0..1 of the mask that such a plane cannot reach."""
    reach = _reach(camera, drop) @ mask.cells()
    return float(np.mean(reach <= 0)) if reach.size else 0.0


def level_planes(camera: Camera, drop: Drop, texels: float) -> tuple[Plane, ...]:
    """The plane as far as it can be told from its horizon, and the tile's mean colour beyond.

    `texels` are those of one metre. Seen from the side the camera is on, the tile is not mirrored.
    """
    rays, side = camera.rays(), np.sign(drop.below)
    along, across = np.cos(drop.turn), np.sin(drop.turn)
    u = along * rays[2] + across * rays[0]
    v = side * (along * rays[0] - across * rays[2])
    reach = _reach(camera, drop)
    ahead = np.stack((u * abs(drop.below) * texels, v * abs(drop.below) * texels, reach))
    # reach >= depth * below / farthest: the plane ends at a fixed distance, short of its horizon.
    a, b, c = (reach - rays[2] * abs(drop.below) / _FARTHEST).tolist()
    length = float(np.hypot(a, b)) or 1.0
    return Plane(ahead, ((a / length, b / length, c / length),)), Plane(_plain())


def _reach(camera: Camera, drop: Drop) -> Matrix:
    """(3,) times a pixel (x, y, 1): how steeply it looks towards the plane; 0 on the horizon."""
    return np.sign(drop.below) * camera.rays()[1]


def _plain() -> Matrix:
    """Texels so far apart that every tile is its last level there."""
    return np.diag((2.0**16, 2.0**16, 1.0))


def _wide(mask: Outline, camera: Camera) -> bool:
    """Whether the surface reaches further to the sides than in depth."""
    ways: Matrix = camera.rays() @ mask.cells()
    ways = ways[:, ways[1] > 0.02]
    if not ways.size:
        return True
    right, depth = ways[0] / ways[1], ways[2] / ways[1]
    across, along = (np.subtract(*np.quantile(v, (0.97, 0.03))) for v in (right, depth))
    return bool(across >= along)
