"""A finished tile: seamless pixels at every level of detail, and how large it is in the world."""

import numpy as np
from msgspec import Struct

from gpu_handler.imaging.color import Array, linear_to_srgb, srgb_to_linear
from gpu_handler.imaging.pixels import Pixels


class Tile(Struct, frozen=True, eq=False):
    """`levels`: (n, n, 3) uint8 sRGB that wraps around, n a power of two, and its halves down to
    1 x 1. `metres`: the side of the tile in a room. Boards and threads run along x, joints of
    upright tiles stand along y."""

    levels: tuple[Pixels, ...]
    metres: float


def finish(drawn: Array, rgb: tuple[int, int, int], metres: float) -> Tile:
    """A tile of what was drawn, (n, n, 3) of about 0..255, whose mean in linear light is `rgb`'s:
    from afar a material has the colour of its swatch."""
    target = srgb_to_linear(np.array(rgb, np.float32) / 255)
    light = srgb_to_linear(np.clip(drawn, 2, 255) / np.float32(255))
    for _ in range(4):  # what is clipped is made up for by the rest
        light = np.minimum(light * (target / light.mean((0, 1))), np.float32(0.97))
    pixels = np.rint(linear_to_srgb(light) * 255).clip(0, 255).astype(np.uint8)
    return Tile(levels_of(pixels), metres)


def levels_of(pixels: Pixels) -> tuple[Pixels, ...]:
    """(n, n, 3) and the rounded means of 2 x 2 texels, again and again."""
    levels = [np.ascontiguousarray(pixels)]
    while levels[-1].shape[0] > 1:
        fine = levels[-1].astype(np.uint16)
        sums = fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]
        levels.append(((sums + 2) // 4).astype(np.uint8))
    return tuple(levels)
