"""Photos, covers and brushes of every kind for the backends to agree on."""

import numpy as np
from numpy.typing import NDArray

from gpu_handler.backends.base import (
    TABLE,
    Brush,
    CurveBrush,
    FillBrush,
    Plane,
    TableBrush,
    TextureBrush,
)

Pixels = NDArray[np.uint8]
Alpha = NDArray[np.uint8]
Shape = tuple[int, int]

SHAPES: tuple[Shape, ...] = ((1, 1), (1, 37), (41, 1), (3, 5), (64, 64), (131, 97), (300, 517))


def photo(shape: Shape, seed: int = 0) -> Pixels:
    """Smooth light with edges and grain."""
    noise = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    light = 90 + 80 * np.sin(x / 23.0) * np.cos(y / 31.0)
    blocks = noise.integers(-40, 40, (shape[0] // 24 + 1, shape[1] // 24 + 1, 3))
    steps = blocks.repeat(24, 0).repeat(24, 1)[: shape[0], : shape[1]]
    grain = noise.normal(0, 4, (*shape, 3))
    return (light[..., None] + steps + grain).clip(0, 255).astype(np.uint8)


def cover(shape: Shape, seed: int = 1) -> Alpha:
    """Pixels of 0, of 255, and of anything between, in blocks and alone."""
    noise = np.random.default_rng(seed)
    kinds = noise.integers(0, 3, (shape[0] // 9 + 1, shape[1] // 9 + 1)).repeat(9, 0).repeat(9, 1)
    kinds = kinds[: shape[0], : shape[1]]
    soft = noise.integers(0, 256, shape)
    return np.where(kinds == 0, 0, np.where(kinds == 1, 255, soft)).astype(np.uint8)


def logits(grid: Shape, seed: int = 2) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed)
    small = noise.normal(0, 6, (max(1, grid[0] // 6), max(1, grid[1] // 6)))
    rows = np.minimum(np.arange(grid[0]) // 6, small.shape[0] - 1)
    columns = np.minimum(np.arange(grid[1]) // 6, small.shape[1] - 1)
    return small[rows][:, columns].astype(np.float32)


def brushes(shape: Shape) -> dict[str, Brush]:
    return {**tables(shape), **curves(), **textures(shape), **fills(shape)}


def tables(shape: Shape) -> dict[str, Brush]:
    grey = np.linspace(0, 255, TABLE)[:, None]
    table = (grey * np.array((0.5, 0.9, 1.05)) + np.array((60, 10, -5))).clip(0, 253)
    tint = np.array((1.1, 1.0, 0.85), np.float32)
    base = np.random.default_rng(3).uniform(30, 220, (7, 9)).astype(np.float32)
    values = table.astype(np.float32)
    return {
        "table": TableBrush(values, tint),
        "table, coloured light": TableBrush(values, tint, residual=0.5),
        "table, softened": TableBrush(values, tint, 0.4, 0.55, base),
        "table, one cell": TableBrush(values, tint, 0.0, 0.2, base[:1, :1]),
    }


def curves() -> dict[str, Brush]:
    axis = np.linspace(0, 1, TABLE)
    straight, bent = axis * 255, 255 * axis**0.7
    neutral, warm = np.ones(3, np.float32), np.array((1.16, 1.01, 0.8), np.float32)
    return {
        "curve": CurveBrush(neutral, 1.0, bent.astype(np.float32)),
        "warm": CurveBrush(warm, 1.0, straight.astype(np.float32)),
        "grey": CurveBrush(neutral, 0.0, straight.astype(np.float32)),
        "vivid and warm": CurveBrush(warm, 2.0, bent.astype(np.float32)),
    }


def tile(side: int) -> tuple[Pixels, ...]:
    noise = np.random.default_rng(4)
    coarse = noise.integers(40, 215, (max(1, side // 4), max(1, side // 4), 3))
    step = side // coarse.shape[0]
    levels = [coarse.repeat(step, 0).repeat(step, 1).astype(np.uint8)]
    while levels[-1].shape[0] > 1:
        fine = levels[-1].astype(np.int64)
        sums = fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]
        levels.append(((sums + 2) // 4).astype(np.uint8))
    return tuple(levels)


def textures(shape: Shape) -> dict[str, Brush]:
    noise = np.random.default_rng(5)
    light = noise.uniform(0.6, 1.25, (5, 6, 3)).astype(np.float32)
    facing = np.array(((0.9, 0.1, 3.3), (-0.1, 0.9, -7.7), (0.0, 0.0, 1.0)))
    floor = np.array(((3.0, 1.0, 20.0), (0.2, 9.0, 5.0), (0.0, 0.02, 0.3)))
    side = np.array(((1.0, 0.0, 0.0), (0.3, 2.0, 1.0), (0.004, 0.0, 0.7)))
    middle = (1.0, 0.2, -shape[1] / 2)
    lower = (0.1, 1.0, -shape[0] / 2)
    planes = (Plane(floor, (lower,)), Plane(side, (middle,)), Plane(facing))
    return {
        "texture, facing": TextureBrush(tile(64), (Plane(facing),), light),
        "texture, grazing": TextureBrush(tile(128), (Plane(floor),), light, 180.0),
        "texture, three planes": TextureBrush(tile(32), planes, light),
        "texture, tiny": TextureBrush(tile(1), (Plane(facing),), light[:1, :1]),
        "texture, far away": TextureBrush(tile(16), (Plane(facing * 40),), light),
    }


def fills(shape: Shape) -> dict[str, Brush]:
    noise = np.random.default_rng(6)
    height, width = shape
    whole = (0, 0, width, height)
    part = (width // 3, height // 4, width - width // 5, height - height // 6)
    source = noise.uniform(-width, width, (6, 7, 2)).astype(np.float32)
    correction = noise.uniform(-30, 30, (6, 7, 3)).astype(np.float32)
    brushes: dict[str, Brush] = {
        "fill": FillBrush(whole, source, np.zeros_like(correction)),
        "fill, corrected": FillBrush(whole, np.rint(source), correction),
    }
    if part[2] > part[0] and part[3] > part[1]:
        brushes["fill, a part"] = FillBrush(part, source[:1, :1], correction[:2, :1])
    return brushes
