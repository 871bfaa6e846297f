"""The sample rooms with what is known of them, and masks that a camera sees of planes."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.backends.base import Canvas, Plane, TextureBrush
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.rules.texture.plan import TextureReport, plan_texture
from infra.samples import Sample, album
from infra.samples.camera import Camera, Floats

ROOMS = ("living room", "bedroom", "dining room", "study")
METRES = 1.0
TEXELS = 64

# As infra.samples.rooms has them: the camera, and the room's width, height and depth.
CAMERAS = {
    "living room": Camera((2.15, 1.45, 0.35), yaw=4.0, pitch=-5.0, focal=0.72),
    "bedroom": Camera((1.75, 1.5, 0.3), yaw=4.0, pitch=-7.0, focal=0.7),
    "dining room": Camera((2.6, 1.5, 0.3), yaw=-3.0, pitch=-5.0, focal=0.72),
    "study": Camera((1.9, 1.5, 0.25), yaw=1.0, pitch=-6.0, focal=0.7),
}
SHELLS = {
    "living room": (5.2, 2.7, 5.4),
    "bedroom": (4.4, 2.6, 4.8),
    "dining room": (5.0, 2.8, 5.0),
    "study": (4.0, 2.6, 4.6),
}


class Planned(Struct, frozen=True, eq=False):
    brush: TextureBrush
    report: TextureReport


@cache
def rooms() -> dict[str, Sample]:
    return {sample.name: sample for sample in album("interior", scale=0.25)}


@cache
def planned(room: str, concept: str) -> Planned:
    sample = rooms()[room]
    return plan(sample.pixels, sample.masks[concept], concept)


def tile(colour: tuple[int, int, int] = (150, 120, 90)) -> tuple[Pixels, ...]:
    sides = [TEXELS >> k for k in range(TEXELS.bit_length())]
    return tuple(np.full((n, n, 3), colour, np.uint8) for n in sides)


def open_canvas(photo: Pixels) -> Canvas:
    return CpuBackend().open(photo)


def plan(
    photo: Pixels, mask: Alpha, concept: str, colour: tuple[int, int, int] = (150, 120, 90)
) -> Planned:
    canvas = open_canvas(photo)
    return Planned(*plan_texture(canvas, canvas.stretch(mask), concept, tile(colour), METRES))


def see(room: str, points: Sequence[tuple[float, float, float]]) -> NDArray[np.float64]:
    """(n, 2) pixels, centres at whole numbers, of points of the room in metres."""
    height, width = rooms()[room].pixels.shape[:2]
    return CAMERAS[room].project(np.array(points, np.float32), width, height) - 0.5


def on(plane: Plane, pixels: Floats) -> NDArray[np.float64]:
    """(n, 2) metres on the tile of pixels (n, 2)."""
    u, v, w = plane.texels @ np.column_stack((pixels, np.ones(len(pixels)))).T
    return np.stack((u / w, v / w), 1) * METRES / TEXELS


def plane_at(brush: TextureBrush, pixel: Floats) -> Plane:
    """The plane that a pixel (x, y) is on."""
    for plane in brush.planes:
        if all(a * pixel[0] + b * pixel[1] + c >= 0 for a, b, c in plane.limits):
            return plane
    return brush.planes[-1]
