"""The table that turns the grey of an old surface into its new paint, light and shade kept.

For one target colour the result depends almost only on how light the old pixel was in relation to
its surface. So everything that needs OKLab is done once, for 1021 greys.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpu_handler.backends.base import STEPS, TableBrush
from gpu_handler.imaging.color import (
    LUMA,
    Array,
    linear_to_oklab,
    linear_to_srgb,
    oklab_to_linear,
    reduce_chroma,
    srgb_to_linear,
)

_WHITEST = 0.965  # OKLab L: the whitest paint reflects about 92 %, it is not a lit display
_PEAK = 0.987  # OKLab L that highlights reach: 250 of 255, coloured light may add to that
_HIGHLIGHT = 0.998  # quantile of a surface that counts as its brightest
_FEW = 4000  # samples that tell whether light is kept
_SOFTEST = 0.6  # of a shade's own contrast
_FAITHFUL = 0.973  # correlation of a surface's lightness before and after
_RESIDUAL = 0.5  # share of the old surface's colour deviations that is taken for coloured light
_COLOURFUL = 0.06  # OKLab chroma above which deviations are paint rather than light
_SLOPE = 1.25  # detail is not amplified more than this


def shade(rgb: tuple[int, int, int], surface: NDArray[np.uint8]) -> TableBrush:
    """How a surface is painted in `rgb`; `surface` (n, 3) uint8 sRGB are samples of it.

    `residual` is 0..0.5, less the more colourful the old paint is. `detail` is below 1 where the
    table is so steep that grain would show; the caller then adds the surface's smooth light.
    """
    samples = surface / 255.0
    target = linear_to_oklab(srgb_to_linear(np.array(rgb) / 255))
    table = _table(target, samples)
    middle = np.median(samples, 0)
    grey = float(middle @ LUMA)
    chroma = float(np.hypot(*linear_to_oklab(srgb_to_linear(middle))[1:]))
    return TableBrush(
        table=table.astype(np.float32),
        tint=(middle / grey if grey > 0.004 else np.ones(3)).astype(np.float32),
        residual=_RESIDUAL * float(np.clip(1.5 - chroma / _COLOURFUL, 0, 1)),
        detail=min(1.0, _SLOPE / max(_slope(table, grey), 1e-6)),
    )


def _table(target: Array, samples: Array) -> Array:
    """Target colour for each grey, by its lightness in relation to the surface's reference."""
    light = min(float(target[0]), _WHITEST)
    new = _new_lightness(float(target[0]), samples)
    colour = np.clip(1 - (new - light) / (1.02 - light), 0, 1)
    colour = np.where(new < light, (new / light) ** 0.9 if light > 0 else 0, colour)
    # Nothing clips in the highlights, but for what the colour itself has.
    brightest = max(_PEAK**3, float(oklab_to_linear(target).max()))
    lab = np.stack((new, target[1] * colour, target[2] * colour), -1)
    return np.clip(linear_to_srgb(oklab_to_linear(reduce_chroma(lab, brightest))), 0, 1) * 255


def _new_lightness(wished: float, samples: Array) -> Array:
    """(255 * STEPS + 1,) new OKLab L for each old grey.

    The reference is a quantile: light paints are anchored near the surface's bright end, so that
    its lit parts reach the colour and do not burn out. Where the surface's light would be bent out
    of shape all the same, its shade is softened and the anchor moves up until the light is kept;
    then less of the surface meets the colour.
    """
    light = min(wished, _WHITEST)
    axis = np.linspace(0, 1, 255 * STEPS + 1)
    greys, old = samples @ LUMA, _lightness(axis)
    seen = linear_to_oklab(srgb_to_linear(samples[:: max(1, len(samples) // _FEW)]))[:, 0]
    places = greys[:: max(1, len(samples) // _FEW)]
    peak = float(_lightness(np.quantile(greys, _HIGHLIGHT)))
    anchor = float(np.interp(wished, (0.35, 0.75, 1), (0.5, 0.6, 0.8)))
    softer = 1.0
    while True:
        reference = max(float(_lightness(np.quantile(greys, anchor))), 0.05)
        contrast = softer * _contrast(light / reference)
        new = _relight(old / reference, light, peak / reference, contrast)
        if anchor >= 1 or _kept(seen, np.interp(places, axis, new)) >= _FAITHFUL:
            return new
        softer *= 0.95
        if softer < _SOFTEST:
            anchor, softer = min(1.0, anchor + 0.01), _SOFTEST


def _contrast(gain: float) -> float:
    """How much stronger shade becomes, by how much lighter the surface does: softer where that is
    much, so that grain is not blown up, a little stronger where a light surface becomes dark."""
    if gain > 1:
        return float(np.interp(gain, (1.3, 3.0), (1.0, 0.55)))
    return float(np.interp(gain, (0.35, 1.0), (1.2, 1.0)))


def _kept(old: Array, new: Array) -> float:
    """Correlation of old and new lightness; 1 where nothing varies."""
    if old.std() < 1e-6 or new.std() < 1e-6:
        return 1.0
    return float(np.corrcoef(old, new)[0, 1])


def _relight(lightness: Array, light: float, brightest: float, contrast: float) -> Array:
    """New OKLab L for lightness in relation to the reference (1 = as light as it).

    Shade keeps its ratio, with `contrast` as exponent. Highlights go on at the same slope and bend
    so that the surface's `brightest` meets white (Reinhard's curve with a white point, 2002);
    where there is room for them they do not bend at all.
    """
    shade = light * np.minimum(lightness, 1) ** contrast
    slope = contrast * light / (_PEAK - light)
    over, most = np.maximum(lightness - 1, 0) * slope, max((brightest - 1) * slope, 1.0)
    bent = np.minimum(over * (1 + over / most**2) / (1 + over), 1)
    return shade + (_PEAK - light) * bent


def _lightness(greys: ArrayLike) -> Array:
    """OKLab L of neutral greys 0..1."""
    return np.cbrt(srgb_to_linear(np.asarray(greys, np.float64)))


def _slope(table: Array, grey: float) -> float:
    """How many levels of new luma one level of old grey becomes, around the surface's middle."""
    low, high = max(0, round(grey * 255) - 16), min(255, round(grey * 255) + 16)
    luma = table[[low * STEPS, high * STEPS]] @ LUMA
    return float(luma[1] - luma[0]) / (high - low)
