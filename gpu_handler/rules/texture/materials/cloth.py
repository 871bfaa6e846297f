"""Cloth, leather, paper, metal, glass: fine structures without pieces."""

import numpy as np

from gpu_handler.imaging.color import Array
from gpu_handler.rules.texture.materials.noise import Chance, grid, step

Rgb = tuple[int, int, int]


def _toned(rgb: Rgb, level: Array) -> Array:
    return np.asarray(np.array(rgb, np.float32) * level[..., None], np.float32)


def weave(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Plain weave: threads over and under each other, with slubs along them."""
    threads = max(8, n // 8)
    y, x = grid(n)
    u, v = x * threads / n, y * threads / n
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    warp = np.sin(np.pi * (u % 1)) ** 0.6 * (0.75 + 0.25 * np.sin(np.pi * (v % 1)))
    weft = np.sin(np.pi * (v % 1)) ** 0.6 * (0.75 + 0.25 * np.sin(np.pi * (u % 1)))
    along_x = chance.noise(n, threads / 1.5, 7, 1.4)
    along_y = chance.noise(n, 7, threads / 1.5, 1.4)
    level = np.where(over, warp * (1 + 0.05 * along_y), weft * (1 + 0.05 * along_x))
    slubs = 0.022 * (along_x + along_y) + 0.01 * chance.clouds(n, 3, 3)
    return _toned(rgb, np.asarray(0.74 + 0.34 * level + slubs, np.float32))


def felt(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Short fibres in all directions."""
    fibres = chance.noise(n, 220, 30, 1.2) + chance.noise(n, 30, 220, 1.2)
    return _toned(rgb, 1 + 0.03 * fibres + 0.015 * chance.clouds(n, 4, 3))


def leather(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Grain: small cushions with creases between them, lit from above."""
    cells = np.abs(chance.noise(n, 60, 60, 2.6)) + 0.5 * np.abs(chance.noise(n, 110, 110, 2.2))
    relief = np.minimum(cells, 1.0)
    lit = relief - np.roll(relief, 1, 0)
    level = 0.93 + 0.09 * relief + 0.28 * np.clip(lit, -0.3, 0.3)
    return _toned(rgb, np.asarray(level + 0.015 * chance.clouds(n, 3, 4), np.float32))


def paper(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Fibres and flocks, barely seen."""
    fibres = step(1.6, 2.6, chance.noise(n, 160, 26, 1.4) + 0.6 * chance.noise(n, 26, 160, 1.4))
    level = 1 + 0.008 * chance.clouds(n, 30, 4) + 0.006 * chance.noise(n, 300, 300, 0.5)
    return _toned(rgb, np.asarray(level - 0.04 * fibres, np.float32))


def brushed_metal(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Scratches along x, and the wide soft bands that metal mirrors."""
    lines = chance.noise(n, n / 2.2, 2.5, 0.9)
    bands = chance.noise(n, 2.2, 1.0, 2.5)
    return _toned(rgb, 1 + 0.045 * lines + 0.07 * bands)


def frosted(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Etched glass: an even haze with the finest grain."""
    return _toned(rgb, 1 + 0.012 * chance.noise(n, 260, 260, 0.6) + 0.012 * chance.clouds(n, 2, 3))


def boucle(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Looped yarn: soft knots with shade between them."""
    knots = chance.noise(n, 55, 55, 3.0) + 0.5 * chance.noise(n, 110, 110, 2.4)
    lit = knots - np.roll(knots, 2, 0)
    level = 0.95 + 0.05 * np.clip(knots, -1.5, 1.5) + 0.1 * np.clip(lit, -0.8, 0.8)
    return _toned(rgb, np.asarray(level + 0.02 * chance.clouds(n, 3, 3), np.float32))
