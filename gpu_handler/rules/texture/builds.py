"""How high upright things are built."""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.rules.texture.ground import CEILING, EYE, TABLE
from gpu_handler.rules.texture.surfaces import Lie

_SPREAD = 0.35  # metres by which an upper edge usually differs from what is assumed
_WEIGHT = 0.05  # of what is unusual, against the share of an outline that is explained


class Build(Struct, frozen=True):
    """Metres from the camera `up` to the usual upper edge and `down` to the lower one; `outside`:
    a box that one looks at, of any height, rather than the walls of a room."""

    up: float
    down: float = EYE
    outside: bool = False

    def tops(self) -> NDArray[np.float64]:
        """Upper edges to try."""
        if self.outside:
            return np.array((-0.6, -0.45, -0.3, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.1))
        return self.up + np.array((-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.35, 0.55, 0.85))

    def surprise(self, tops: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """The cost of an unusual upper edge."""
        return 0 * tops if self.outside else _WEIGHT * ((tops - self.up) / _SPREAD) ** 2


BUILDS = {
    Lie.WALL: Build(CEILING - EYE),
    Lie.SPLASHBACK: Build(0.1, EYE - TABLE),
    Lie.DOOR: Build(2.05 - EYE),
    Lie.WINDOW: Build(2.1 - EYE, EYE - 0.9),
    Lie.BOX: Build(0.0, outside=True),
}
"""Doors and windows as houses have them; a window sill is 0.9 m high."""
