"""Tone: warmth, brightness, contrast and saturation of a surface, without clipping.

The first three are one table for each channel; saturation is a 3 x 3 matrix.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.color import LUMINANCE, Array, linear_to_srgb, srgb_to_linear
from gpu_handler.imaging.pixels import Alpha, Pixels, Tile
from gpu_handler.rules.blend import lay
from shared.rules import ToneParameters

_WARM = np.array((0.16, 0.01, -0.20))
"""Linear-light gains added at warmth 1: about what 1500 K less of white balance does."""

_SHOULDER = 0.85  # encoded value above which a raised channel bends towards white


def tone(
    pixels: Pixels, alpha: Alpha, parameters: ToneParameters, out: Pixels | None = None
) -> Pixels:
    """Shift the tone of `pixels` under `alpha` (H, W) and lay it over `out`.

    `out` is changed in place and may be `pixels` itself; a copy is made where there is none.
    Pixels of alpha 0 stay as they are in `out`, bit for bit. Warmth and saturation keep the
    luminance of greys; what would leave 0..255 bends instead of clipping.
    """
    out = pixels.copy() if out is None else out
    if parameters == ToneParameters():
        return out
    curves = tone_curves(parameters).reshape(1, 256, 3)
    matrix = saturation_matrix(parameters.saturation)

    def paint(tile: Tile) -> Pixels:
        shifted = cv2.LUT(np.ascontiguousarray(pixels[tile]), curves)
        return np.asarray(cv2.transform(shifted, matrix), np.uint8)

    lay(out, alpha, paint)
    return out


def tone_curves(parameters: ToneParameters) -> NDArray[np.uint8]:
    """(256, 3) uint8: the new value of each old one, for red, green and blue.

    Warmth is a white balance in linear light that keeps the luminance of greys, brightness a
    power (black and white stay), contrast an S around middle grey or a straight line below it.
    """
    gains = 1 + _WARM * parameters.warmth
    gains /= gains @ LUMINANCE
    axis = np.linspace(0, 1, 256)[:, None]
    values = _roll_off(linear_to_srgb(srgb_to_linear(axis) * gains), linear_to_srgb(gains))
    values = values**2.0 ** (-0.75 * parameters.brightness)
    values = _contrast(values, parameters.contrast)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def saturation_matrix(saturation: float) -> NDArray[np.float32]:
    """(3, 3): distance from grey times 1 + saturation, the grey of BT.709 weights kept."""
    share = 1 + saturation
    return (np.eye(3) * share + LUMINANCE * (1 - share)).astype(np.float32)


def _roll_off(values: Array, peaks: Array) -> Array:
    """Bend each channel so that its peak meets 1; nothing changes where the peak is 1 or less.

    E. Reinhard's curve with a white point (2002, equation 4), from the shoulder on: slope 1 there,
    and the identity for a peak of 1.
    """
    room = 1 - _SHOULDER
    over = np.maximum(values - _SHOULDER, 0) / room
    peak = np.maximum((peaks - _SHOULDER) / room, 1)
    return np.where(over > 0, _SHOULDER + room * over * (1 + over / peak**2) / (1 + over), values)


def _contrast(values: Array, contrast: float) -> Array:
    if contrast <= 0:
        return 0.5 + (values - 0.5) * (1 + contrast / 2)
    power = 1 + contrast
    low, high = np.minimum(values, 0.5), np.maximum(values, 0.5)
    s_curve = 0.5 * (2 * low) ** power, 1 - 0.5 * (2 - 2 * high) ** power
    return np.where(values < 0.5, *s_curve)
