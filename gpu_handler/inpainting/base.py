"""What a learned inpainter has to offer: colours for a hole, at a small size."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Pixels


class InpainterError(RuntimeError):
    """Weights that cannot be used, or an answer that makes no sense; one line."""


class Inpainter(Protocol):
    """Thread-safe. What it paints is taken for the colours of a hole; the detail at full size is
    copied from around."""

    @property
    def longest_side(self) -> int:
        """Of the pictures it does best with, in pixels."""
        ...

    def fill(self, pixels: Pixels, hole: NDArray[np.bool_]) -> Pixels:
        """(h, w, 3) uint8 sRGB with the hole (h, w) filled; what is outside does not matter.

        Raises InpainterError, and `gpu_handler.devices.errors`.
        """
        ...
