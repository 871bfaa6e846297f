"""The colour and the strength of a room's light, as its photo was balanced."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.color import LUMA, linear_to_oklab, srgb_to_linear
from gpu_handler.imaging.pixels import Pixels, shrink

Values = NDArray[np.float64]

_WORK = 128
_PALE = 0.06  # OKLab chroma up to which a bright pixel may be something white
_SHARE = 0.75  # of the cast is taken: cream walls are paint as well as light
# Bounds of log(R/B) and log(G / sqrt(R B)), encoded: about 3,200 K to 9,000 K for a photo that is
# balanced for 5,500 K, and hardly any green, which no lamp in a home has.
_WARMEST, _COOLEST, _GREEN = 0.30, -0.16, 0.03
_WHITE = 215.0  # luma that white paint has in an ordinary photo
_DIMMEST = 0.72
_BRIGHT = 153.0


def light_colour(picture: Pixels) -> Values:
    """(3,) factors on encoded values of a neutral texture, their luma 1.

    What is bright and pale counts as white; where that is rare, the "shades of grey" of the whole
    picture do (G. Finlayson and E. Trezzi, 2004, with p = 6). Bounded to light that rooms have.
    """
    pixels = shrink(picture, _WORK).reshape(-1, 3) / 255
    luma = pixels @ LUMA
    lab = linear_to_oklab(srgb_to_linear(pixels))
    low = np.quantile(luma, 0.6)
    # Blown-out windows and lamps are white whatever the light is.
    white = (np.hypot(lab[:, 1], lab[:, 2]) < _PALE) & (luma >= low) & (pixels.max(1) < 0.975)
    rare = float(white.mean()) < 0.04
    cast = (pixels**6).mean(0) ** (1 / 6) if rare else np.median(pixels[white], 0)
    red, green, blue = np.log(np.maximum(cast, 1e-3))
    warm = _SHARE * float(np.clip(red - blue, _COOLEST, _WARMEST))
    tint = _SHARE * float(np.clip(green - (red + blue) / 2, -_GREEN, _GREEN))
    factors = np.exp(np.array((warm / 2 - tint / 3, tint * 2 / 3, -warm / 2 - tint / 3)))
    return factors / float(factors @ LUMA)


def anchor_of(tile: Values) -> float:
    """The quantile of the old surface that takes a tile's colour (3,) 0..255 as it is.

    As for paints: what is light belongs on the lit parts, and the rest is shade.
    """
    return float(np.interp(float(tile @ LUMA), (90, 170, 240), (0.5, 0.6, 0.8)))


def strength(picture: Pixels, tile: Values, reference: float) -> float:
    """Factor on a tile's colour (3,) 0..255, at most 1: no tile in a room is a lit display.

    In full light luma 236 becomes 203 (OKLab L 0.85), and darker tiles stay. The room's light is
    told by its white: the 93rd percentile of the luma, mostly ceilings, frames and lit walls.
    Where the old surface was lighter than that comes out (`reference`, its luma), so may the new
    one be.
    """
    grey = cv2.cvtColor(shrink(picture, _WORK), cv2.COLOR_RGB2GRAY)
    level = float(np.clip(np.quantile(np.asarray(grey), 0.93) / _WHITE, _DIMMEST, 1.0))
    luma = max(float(tile @ LUMA), 1.0)
    lit = level * min(luma, _BRIGHT + (luma - _BRIGHT) * 0.6)
    return float(np.clip(0.96 * reference, lit, luma)) / luma
