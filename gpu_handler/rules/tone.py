"""Tone: warmth, brightness, contrast and saturation of a surface, without clipping.

Warmth and saturation work on colour alone and keep each pixel's luminance; brightness and contrast
are one curve for all channels.
"""

import numpy as np

from gpu_handler.backends.base import TABLE, CurveBrush
from gpu_handler.imaging.color import Array
from shared.rules import ToneParameters

_WARM = np.array((0.16, 0.01, -0.20))
"""Linear-light gains added at warmth 1: about what 1500 K less of white balance does."""


def plan_tone(parameters: ToneParameters) -> CurveBrush | None:
    """What shifts colours by `parameters`; None where that changes nothing."""
    if parameters == ToneParameters():
        return None
    return CurveBrush(
        gains=(1 + _WARM * parameters.warmth).astype(np.float32),
        saturation=1 + parameters.saturation,
        curve=(tone_curve(parameters) * 255).astype(np.float32),
    )


def tone_curve(parameters: ToneParameters) -> Array:
    """(TABLE,) new encoded values 0..1 of the encoded values 0..1.

    Brightness is a power (black and white stay), contrast an S around middle grey or a straight
    line below it.
    """
    values = np.linspace(0, 1, TABLE) ** 2.0 ** (-0.75 * parameters.brightness)
    return np.clip(_contrast(values, parameters.contrast), 0, 1)


def _contrast(values: Array, contrast: float) -> Array:
    if contrast <= 0:
        return 0.5 + (values - 0.5) * (1 + contrast / 2)
    power = 1 + contrast
    low, high = np.minimum(values, 0.5), np.maximum(values, 0.5)
    s_curve = 0.5 * (2 * low) ** power, 1 - 0.5 * (2 - 2 * high) ** power
    return np.where(values < 0.5, *s_curve)
