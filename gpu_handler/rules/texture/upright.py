"""Upright surfaces: walls, doors, cupboards, each flat piece with its own perspective.

All pieces share one room in metres: v is the height above the floor, u runs on around the corners,
so courses of bricks or tiles meet there.
"""

import numpy as np

from gpu_handler.backends.base import Plane
from gpu_handler.rules.texture.camera import Camera, Matrix
from gpu_handler.rules.texture.corners import Walls
from gpu_handler.rules.texture.ground import EYE

_LEAST = 0.02  # depth of a pixel's direction below which a facing wall is too far off to be told


def upright_planes(
    camera: Camera, walls: Walls, texels: float, *, standing: bool
) -> tuple[Plane, ...]:
    """Side walls first, the facing one where they are not; `texels` are those of one metre.

    `standing`: the tile is turned so that its planks stand, as on doors and cupboards.
    """
    rays, d = camera.rays(), 1 / walls.near
    ahead = np.array((0, 0, _LEAST))
    planes: list[Plane] = []
    for sign, azimuth in ((-1.0, walls.left), (1.0, walls.right)):
        if azimuth is not None:
            out = sign * rays[0]
            corner = out - azimuth * rays[2]
            limits = (-corner if walls.outside else corner, out - ahead)
            planes.append(_plane(_side(rays, sign, azimuth * d, d), texels, standing, *limits))
    facing = np.stack((d * rays[0], d * rays[1] - EYE * rays[2], rays[2]))
    planes.append(_plane(facing, texels, standing, rays[2] - ahead))
    return *planes, Plane(np.diag((2.0**16, 2.0**16, 1.0)))


def _side(rays: Matrix, sign: float, x: float, d: float) -> Matrix:
    """The wall at the distance `x` to the left (-1) or right (1), unrolled from the corner at the
    depth `d`: (u, v, w) in metres times w, linear in the direction."""
    out = sign * rays[0]
    u = sign * ((x + d) * out - x * rays[2])
    return np.stack((u, x * rays[1] - EYE * out, out))


def _plane(metres: Matrix, texels: float, standing: bool, *limits: Matrix) -> Plane:
    u, v, w = metres
    if standing:
        u, v = -v, u
    return Plane(np.stack((u * texels, v * texels, w)), tuple(_half_plane(row) for row in limits))


def _half_plane(row: Matrix) -> tuple[float, float, float]:
    """Scaled so that it gives pixels."""
    a, b, c = (row / max(float(np.hypot(row[0], row[1])), 1e-12)).tolist()
    return a, b, c
