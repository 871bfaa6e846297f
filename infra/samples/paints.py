"""Albedo of materials by place: plain paint, planks, tiles, weave, pictures, views."""

from functools import cache

import numpy as np

from infra.samples.camera import Floats, Vectors
from infra.samples.lookup import read
from infra.samples.surface import Paint


def linear(color: str) -> Vectors:
    """(3,) linear light of an sRGB hex colour (IEC 61966-2-1)."""
    value = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)], np.float32) / 255
    curved = ((value + 0.055) / 1.055) ** 2.4
    return np.where(value <= 0.04045, value / 12.92, curved).astype(np.float32)


@cache
def noise(
    seed: int, across: float = 1.0, along: float = 1.0, *, slope: float = 0.9, size: int = 512
) -> Floats:
    """(size, size) seamless noise, unit variance; the two scales stretch its grain.

    A steeper spectral `slope` makes it smoother.
    """
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((size, size)))
    fy = np.fft.fftfreq(size, 1 / size)[:, None] * along
    fx = np.fft.rfftfreq(size, 1 / size)[None] * across
    field = np.fft.irfft2(
        spectrum / (1 + (fy**2 + fx**2) / (400 if slope < 1 else 9)) ** slope, (size, size)
    )
    return ((field - field.mean()) / field.std()).astype(np.float32)


def sample(field: Floats, u: Floats, v: Floats, metres: float) -> Floats:
    """`field` laid over the surface, repeating every `metres`, bilinear."""
    size = field.shape[0]
    x = np.mod(u / metres, 1).astype(np.float32) * size
    y = np.mod(v / metres, 1).astype(np.float32) * size
    return read(field, x, y, wrap=True)


def matte(color: str, *, grain: float = 0.02, cloud: float = 0.015, seed: int = 1) -> Paint:
    """Wall paint: a roller's fine grain and slow clouds."""
    base = linear(color)

    def paint(u: Floats, v: Floats) -> Vectors:
        fine = sample(noise(seed), u, v, 0.35) * grain
        slow = sample(noise(seed + 1), u, v, 6.0) * cloud
        return base * (1 + fine + slow)[:, None]

    return paint


def planks(color: str, *, width: float = 0.16, length: float = 1.4, seed: int = 5) -> Paint:
    """Boards along v, each with its own tone, grain and thin dark gaps."""
    base = linear(color)

    def paint(u: Floats, v: Floats) -> Vectors:
        row = np.floor(u / width)
        shift = (row * 0.618) % 1 * length
        board = np.floor((v + shift) / length)
        tone = _scatter(row, board, seed)
        grain = sample(noise(seed, 6.0, 0.25), u + tone * 7, v * 1.0 + tone * 3, 1.1)
        gap = np.minimum(np.abs(u / width - np.round(u / width)) * width * 700, 1)
        end = (v + shift) / length
        gap = np.minimum(gap, np.minimum(np.abs(end - np.round(end)) * length * 600, 1))
        value = (0.88 + 0.24 * tone) * (1 + 0.07 * grain) * (0.45 + 0.55 * gap)
        warm = np.stack([np.ones_like(tone), 1 - 0.05 * tone, 1 - 0.1 * tone], axis=1)
        return base * value[:, None] * warm

    return paint


def tiles(color: str, grout: str, *, side: float = 0.45, joint: float = 0.006) -> Paint:
    base, line = linear(color), linear(grout)

    def paint(u: Floats, v: Floats) -> Vectors:
        tone = _scatter(np.floor(u / side), np.floor(v / side), 3)
        cloud = sample(noise(9), u, v, 1.7)
        near = np.minimum(
            np.abs(u / side - np.round(u / side)), np.abs(v / side - np.round(v / side))
        )
        inside = np.clip((near * side - joint / 2) / 0.002, 0, 1)[:, None]
        face = base * (0.95 + 0.08 * tone + 0.025 * cloud)[:, None]
        return face * inside + line * (1 - inside)

    return paint


def weave(color: str, *, thread: float = 0.01, seed: int = 21) -> Paint:
    """Cloth: a woven ripple and slow wear."""
    base = linear(color)

    def paint(u: Floats, v: Floats) -> Vectors:
        ripple = np.sin(u / thread * 6.283) * np.sin(v / thread * 6.283)
        wear = sample(noise(seed), u, v, 0.9)
        return base * (1 + 0.05 * ripple + 0.06 * wear)[:, None]

    return paint


def stripes(colors: tuple[str, ...], width: float) -> Paint:
    palette = np.stack([linear(color) for color in colors])

    def paint(u: Floats, v: Floats) -> Vectors:
        wear = sample(noise(31), u, v, 0.4)
        band = np.floor(v / width).astype(int) % len(palette)
        return palette[band] * (1 + 0.06 * wear)[:, None]

    return paint


def view(sky: str, trees: str, horizon: float) -> Paint:
    """What a window shows: sky over trees, out of focus."""
    above, below = linear(sky), linear(trees)

    def paint(u: Floats, v: Floats) -> Vectors:
        edge = horizon + 0.13 * sample(noise(41, slope=1.6), u, v * 0 + 0.3, 3.0)
        foliage = 1 + 0.3 * sample(noise(43, slope=1.5), u, v, 2.0)[:, None]
        share = np.clip((v - edge) / 0.25 + 0.5, 0, 1)[:, None]
        return above * share + below * foliage * (1 - share)

    return paint


def canvas(colors: tuple[str, ...], seed: int) -> Paint:
    """An abstract picture: soft fields of a few colours."""
    palette = np.stack([linear(color) for color in colors])

    def paint(u: Floats, v: Floats) -> Vectors:
        field = sample(noise(seed, slope=2.0), u, v, 1.9) * 1.1 + (u - v) * 0.8
        place = np.clip((field + 1.6) / 3.2, 0, 0.999) * (len(palette) - 1)
        low = place.astype(int)
        share = np.clip((place - low) * 4 - 1.5, 0, 1)[:, None]
        return palette[low] * (1 - share) + palette[np.minimum(low + 1, len(palette) - 1)] * share

    return paint


def _scatter(row: Floats, column: Floats, seed: int) -> Floats:
    """One number in -0.5..0.5 for each cell of a grid."""
    mixed = np.sin(row * 127.1 + column * 311.7 + seed * 74.7) * 43758.5453
    return (mixed - np.floor(mixed) - 0.5).astype(np.float32)
