"""Stone, concrete and plaster: clouds, veins, grains and pits."""

import numpy as np

from gpu_handler.imaging.color import Array
from gpu_handler.rules.texture.materials.bonds import jittered, rows
from gpu_handler.rules.texture.materials.noise import Chance, grid, step

Rgb = tuple[int, int, int]


def _toned(rgb: Rgb, level: Array) -> Array:
    """(n, n, 3): the colour times `level` (n, n)."""
    return np.asarray(np.array(rgb, np.float32) * level[..., None], np.float32)


def _mixed(first: Array, second: tuple[float, ...], share: Array) -> Array:
    part = np.clip(share, 0, 1)[..., None]
    return np.asarray(first * (1 - part) + np.array(second, np.float32) * part, np.float32)


def _veins(n: int, chance: Chance, lines: tuple[int, int], wander: float, width: float) -> Array:
    """(n, n) 0..1: long veins, `lines` of them counted along x and along y, that wander, swell and
    fade; `width` in tiles."""
    y, x = grid(n)
    bend = wander * chance.noise(n, 1.5, 1.5, 2.6) + 0.025 * chance.clouds(n, 8, 4, 0.5)
    phase = (x * lines[0] + y * lines[1]) / n + bend
    field = np.abs((phase + 0.5) % 1 - 0.5)
    down, right = np.gradient(phase)
    slope = np.hypot((down + 0.5) % 1 - 0.5, (right + 0.5) % 1 - 0.5) * n
    distance = field / np.maximum(slope, 1.0)
    presence = step(-0.6, 1.3, chance.clouds(n, 3, 3))
    return np.asarray(np.exp(-distance / (width * (0.3 + presence))) * presence, np.float32)


def marble(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Pale stone with grey veins, or dark stone with pale ones."""
    light = sum(rgb) > 380
    vein = (112.0, 112.0, 118.0) if light else (214.0, 214.0, 208.0)
    if light:  # iron in a beige stone, graphite in a white one
        warm = (rgb[0] - rgb[2]) / 60
        vein = (112 + 40 * warm, 112 + 8 * warm, 118 - 30 * warm)
    clouds = chance.clouds(n, 2, 5, 0.6)
    drawn = _toned(rgb, 1 + (0.022 if light else 0.1) * clouds)
    soft = step(0.2, 2.6, chance.clouds(n, 3, 4, 0.6)) * (0.28 if light else 0.1)
    drawn = _mixed(drawn, vein, soft)
    drawn = _mixed(drawn, vein, 0.75 * _veins(n, chance, (1, 2), 0.42, 0.0042))
    return _mixed(drawn, vein, 0.45 * _veins(n, chance, (3, -1), 0.6, 0.0018))


def granite(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Grains of three minerals."""
    drawn = _toned(rgb, 1 + 0.05 * chance.clouds(n, 20, 3))
    spread = 1.0 if 60 < sum(rgb) / 3 < 210 else 0.5
    for shade, cycles, share in ((1.28, 70, 0.5), (0.6, 80, 0.42), (0.38, 120, 0.2)):
        grains = step(0.55, 0.95, chance.noise(n, cycles, cycles, 2.4)) * share * spread
        drawn = _mixed(drawn, tuple(min(245.0, v * shade + 8) for v in rgb), grains)
    return drawn


def travertine(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Layers along x, with rows of small holes."""
    layers = chance.noise(n, 14, 1.2, 1.6) + 0.5 * chance.noise(n, 60, 2.5, 1.6)
    drawn = _toned(rgb, 1 + 0.045 * layers + 0.012 * chance.noise(n, 200, 90, 1.0))
    holes = step(1.9, 2.5, chance.noise(n, 90, 30, 2.0) + 0.5 * layers)
    return _mixed(drawn, tuple(v * 0.62 for v in rgb), 0.8 * holes)


def slate(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Split plates: ridges lit from above, and a change of colour from plate to plate."""
    bond = rows(n, 4, [[0.0, 0.42], [0.2, 0.75], [0.05, 0.5], [0.3, 0.82]])
    relief = chance.clouds(n, 5, 6, 0.62)
    lit = relief - np.roll(relief, 2, 0)
    level = jittered(chance, bond, 0.1) * (1 + 0.3 * np.clip(lit, -0.6, 0.6) + 0.05 * relief)
    level *= 0.55 + 0.45 * bond.on_piece(0.006 * n)
    rust = step(0.9, 2.4, chance.clouds(n, 4, 4)) * 0.25
    return _mixed(_toned(rgb, level), (rgb[0] * 1.25 + 18, rgb[1] * 1.05 + 6, rgb[2] * 0.85), rust)


def terrazzo(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Chips of several stones in a binder."""
    drawn = _toned(rgb, 1 + 0.012 * chance.noise(n, 200, 200, 1.0))
    chips = ((0.55, 0.53, 0.5), (1.12, 1.1, 1.08), (0.86, 0.74, 0.62), (0.72, 0.76, 0.78))
    for size, limit in ((22, 1.15), (48, 1.3)):
        for chip in chips:
            shape = chance.noise(n, size, size, 3.2) + 0.16 * chance.noise(n, 110, 110, 1.6)
            colour = tuple(min(250.0, v * c) for v, c in zip(rgb, chip, strict=True))
            drawn = _mixed(drawn, colour, step(limit, limit + 0.12, shape) * 0.85)
    return drawn


def concrete(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Soft clouds, sand, a few pits."""
    level = 1 + 0.038 * chance.clouds(n, 2, 6, 0.62) + 0.018 * chance.noise(n, 300, 300, 0.6)
    pits = step(2.75, 3.3, chance.noise(n, 95, 95, 2.0))
    return _toned(rgb, level * (1 - 0.3 * pits))


def plaster(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Lime laid on by hand: pale clouds with faint edges, and the brush here and there."""
    strokes = chance.clouds(n, 4, 5, 0.6) + 0.35 * chance.noise(n, 40, 7, 1.6)
    edges = np.abs(chance.clouds(n, 3, 4)) ** 0.5
    level = 1 + 0.026 * strokes + 0.022 * (edges - float(edges.mean()))
    return _toned(rgb, level + 0.007 * chance.noise(n, 260, 260, 0.8))
