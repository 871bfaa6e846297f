"""Pieces laid in mortar: bricks and tiles."""

import numpy as np

from gpu_handler.imaging.color import Array
from gpu_handler.rules.texture.materials.bonds import Bond, hexagons, jittered, running
from gpu_handler.rules.texture.materials.noise import Chance, step

Rgb = tuple[int, int, int]


def _laid(
    chance: Chance,
    bond: Bond,
    rgb: Rgb,
    mortar: tuple[float, float, float],
    *,
    joint: float,
    spread: float,
    gloss: float,
    rough: Array,
) -> Array:
    """(n, n, 3): pieces around one colour in their joints; `joint` in texels, `gloss` how strongly
    rounded edges catch the light, `rough` (n, n) around 0 what their faces are like."""
    tone = jittered(chance, bond, spread)
    hue = np.stack((tone * jittered(chance, bond, 0.25 * spread), tone, tone), -1)
    bevel = bond.bevel(joint, 0.55 * joint + 1, gloss)
    faces = np.array(rgb, np.float32) * hue * ((1 + rough) * bevel)[..., None]
    on = bond.on_piece(joint)
    # Mortar lies deeper: it is in the shade of the piece above it.
    n = bond.piece.shape[0]
    grit = 1 + 0.05 * chance.noise(n, n / 6, n / 6, 1.0)
    shade = 1 - 0.16 * np.roll(on, max(1, round(joint / 3)), 0) * (1 - on)
    bed = np.array(mortar, np.float32) * (grit * shade)[..., None]
    return np.asarray(bed * (1 - on[..., None]) + faces * on[..., None], np.float32)


def _grout(rgb: Rgb) -> tuple[float, float, float]:
    """A joint that is seen and does not shout: greyer and darker, on dark tiles paler."""
    grey = sum(rgb) / 3
    far = 0.8 if grey > 95 else 1.5
    red, green, blue = (0.6 * v * far + 0.4 * grey * far for v in rgb)
    return red, green, blue


def brick(n: int, chance: Chance, rgb: Rgb) -> Array:
    """A running bond of bricks, rough and uneven, with pale mortar."""
    bond = running(n, 12, 4)
    uneven = chance.clouds(n, 40, 3) * (n / 900)
    edge = bond.edge + uneven
    bond = Bond(bond.piece, bond.count, bond.along, bond.across, edge, bond.below + uneven)
    rough = 0.07 * chance.clouds(n, 30, 4, 0.7) - 0.25 * step(
        1.9, 2.6, chance.noise(n, 120, 120, 1.6)
    )
    white = sum(rgb) > 540
    mortar = tuple(0.93 * v for v in rgb) if white else (150.0, 132.0, 118.0)
    spread = 0.035 if white else 0.13
    return _laid(
        chance,
        bond,
        rgb,
        (mortar[0], mortar[1], mortar[2]),
        joint=n * 0.0095,
        spread=spread,
        gloss=0.1,
        rough=rough,
    )


def subway_tiles(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Glazed tiles twice as wide as high, in a running bond."""
    bond = running(n, 8, 4)
    face = 0.012 * chance.clouds(n, 8, 3)
    return _laid(
        chance, bond, rgb, _grout(rgb), joint=n * 0.0045, spread=0.018, gloss=0.09, rough=face
    )


def square_tiles(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Square tiles, each of its own firing."""
    bond = running(n, 4, 4, 0.0)
    face = 0.02 * chance.clouds(n, 6, 5, 0.6)
    return _laid(
        chance, bond, rgb, _grout(rgb), joint=n * 0.0055, spread=0.03, gloss=0.06, rough=face
    )


def mosaic(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Small glass tiles of many tones."""
    bond = running(n, 32, 32, 0.0)
    face = 0.03 * chance.clouds(n, 60, 2)
    return _laid(
        chance, bond, rgb, _grout(rgb), joint=n * 0.0042, spread=0.13, gloss=0.12, rough=face
    )


def hexagon_tiles(n: int, chance: Chance, rgb: Rgb) -> Array:
    """Hexagons of cement."""
    bond = hexagons(n, 6)
    face = 0.025 * chance.clouds(n, 5, 5, 0.6)
    return _laid(
        chance, bond, rgb, _grout(rgb), joint=n * 0.0055, spread=0.035, gloss=0.0, rough=face
    )
