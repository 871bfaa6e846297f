"""Colour science: sRGB, linear light, OKLab, CIELAB and the CIEDE2000 difference.

Arrays are (..., 3) floating point, computed in the precision they come in. sRGB and linear light
are 0..1; OKLab has L in 0..1; CIELAB has L in 0..100 (D65).
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

LUMA = np.array((0.299, 0.587, 0.114))
"""ITU-R BT.601 weights on encoded values: what OpenCV's grey is made with."""

LUMINANCE = np.array((0.2126, 0.7152, 0.0722))
"""ITU-R BT.709 weights on linear light: the Y of sRGB (IEC 61966-2-1)."""

# Björn Ottosson, "A perceptual color space for image processing", 2020,
# https://bottosson.github.io/posts/oklab/: linear sRGB to cone responses, their roots to Lab.
_TO_CONES = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
_TO_LAB = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)
_FROM_CONES = np.linalg.inv(_TO_CONES)
_FROM_LAB = np.linalg.inv(_TO_LAB)

# IEC 61966-2-1, linear sRGB to XYZ, and the D65 white that it gives.
_TO_XYZ = np.array(
    (
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    )
)
_WHITE = _TO_XYZ.sum(1)


def srgb_to_linear(srgb: Array) -> Array:
    """IEC 61966-2-1 decoding; input 0..1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Array) -> Array:
    """IEC 61966-2-1 encoding; below zero counts as zero, above one is kept."""
    light = np.maximum(linear, 0)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def linear_to_oklab(linear: Array) -> Array:
    return _through(np.cbrt(_through(linear, _TO_CONES)), _TO_LAB)


def oklab_to_linear(lab: Array) -> Array:
    """May lie outside 0..1: colours that sRGB does not hold."""
    return _through(_through(lab, _FROM_LAB) ** 3, _FROM_CONES)


def linear_to_cielab(linear: Array) -> Array:
    """CIE 1976 L*a*b* under D65 (CIE 015:2018)."""
    ratio = _through(linear, _TO_XYZ / _WHITE[:, None])
    cut = (6 / 29) ** 3
    root = np.where(ratio > cut, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), -1)


def reduce_chroma(lab: Array, brightest: float = 1.0) -> Array:
    """OKLab colours brought into sRGB at the same lightness and hue, by bisection of the chroma.

    `brightest` is the most linear light that a channel may have; greys may have more.
    Clamping red, green and blue instead would shift hue and lightness.
    """
    grey, colour = lab * (1.0, 0.0, 0.0), lab * (0.0, 1.0, 1.0)
    low, high = np.zeros_like(lab[..., :1]), np.ones_like(lab[..., :1])
    for _ in range(14):
        middle = (low + high) / 2
        fits = _in_srgb(grey + colour * middle, brightest)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return np.where(_in_srgb(lab, brightest), lab, grey + colour * low)


def delta_e_2000(first: Array, second: Array) -> Array:
    """CIEDE2000 of two CIELAB arrays, shape (...); 1 is about what an eye tells apart.

    G. Sharma, W. Wu, E. Dalal, "The CIEDE2000 Color-Difference Formula", 2005, equations 2-22.
    """
    chroma = (np.hypot(first[..., 1], first[..., 2]) + np.hypot(second[..., 1], second[..., 2])) / 2
    stretch = 1.5 - 0.5 * _saturation(chroma)
    c1, h1 = _polar(first, stretch)
    c2, h2 = _polar(second, stretch)
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, h2 - h1 - 360 * (h2 - h1 > 180) + 360 * (h2 - h1 < -180))
    hue = np.where(grey, h1 + h2, (h1 + turn / 2) % 360)
    chroma = (c1 + c2) / 2
    middle = ((first[..., 0] + second[..., 0]) / 2 - 50) ** 2
    dl = (second[..., 0] - first[..., 0]) / (1 + 0.015 * middle / np.sqrt(20 + middle))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * _sine(turn / 2) / (1 + 0.015 * chroma * _hue_weight(hue))
    rotation = -_sine(60 * np.exp(-(((hue - 275) / 25) ** 2))) * 2 * _saturation(chroma)
    return np.sqrt(np.maximum(dl**2 + dc**2 + dh**2 + rotation * dc * dh, 0))


def _polar(lab: Array, stretch: Array) -> tuple[Array, Array]:
    """Chroma and hue (degrees, 0..360) with a* stretched near grey."""
    a, b = lab[..., 1] * stretch, lab[..., 2]
    return np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360


def _saturation(chroma: Array) -> Array:
    return np.sqrt(chroma**7 / (chroma**7 + 25.0**7))


def _sine(degrees: Array) -> Array:
    return np.sin(np.radians(degrees))


def _hue_weight(hue: Array) -> Array:
    h = np.radians(hue)
    first, second = -0.17 * np.cos(h - np.radians(30)), 0.24 * np.cos(2 * h)
    third, fourth = 0.32 * np.cos(3 * h + np.radians(6)), -0.20 * np.cos(4 * h - np.radians(63))
    return 1 + first + second + third + fourth


def _in_srgb(lab: Array, brightest: float) -> NDArray[np.bool_]:
    linear = oklab_to_linear(lab)
    inside = (linear > -1e-4) & (linear < brightest + 1e-4)
    return np.asarray(inside.all(-1, keepdims=True))


def _through(values: Array, matrix: Array) -> Array:
    return values @ matrix.T.astype(values.dtype)
