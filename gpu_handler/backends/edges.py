"""How coarse logits become an alpha along the photo's own edges: the numbers all backends share.

Three things matter: the mask is hardened before it is filtered (a soft ramp only gets wider), the
filter is guided by all three colours, and a contrast step follows it. With (h, w) the grid of the
cleaned logits, and everything "stretched" bilinearly between cell centres:

1. guide = shrink(photo, WORK) / 255, float; mask = sigmoid(GAIN * logits stretched to the guide).
2. The linear model mask = slope . rgb + offset around each pixel of the guide, by the colour guided
   filter (2013, equations 19-21) with windows of 2 * radius + 1 pixels, borders mirrored with the
   edge pixel repeated, and EPSILON on the diagonal; slope and offset averaged over windows again.
3. At full size t = (slope . rgb / 255 + offset - LOW) / (HIGH - LOW) with both stretched, clipped
   to 0..1; fine = t * t * (3 - 2 * t).
4. Only near the boundary: near = band stretched; alpha = round(255 * (stairs + (fine - stairs) *
   near)), stairs = 1 where the nearest cell of the grid is inside, else 0.

Without fine edges alpha = round(255 * sigmoid(logits clipped to -SOFT..SOFT and stretched)).

K. He, J. Sun, X. Tang, "Guided Image Filtering", 2013; K. He, J. Sun, "Fast Guided Filter", 2015.
"""

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Floats

WORK = 504
"""Longest side the filter works at; 1008 and 2016 gave the same error along the edges."""

EPSILON = 1e-3  # colour variance below which a window counts as flat, in 0..1 squared
GAIN = 4.0  # hardens the logits
LOW, HIGH = 0.2, 0.8  # what the contrast step maps to 0 and 1
SOFT = 8.0  # logits whose sigmoid is 0 or 255 of 255

_GRID = 1008  # longest side of logits that is used in full; finer grids are averaged down to it
_BAND = 2.5  # reach of the refinement, in pixels of a 288 x 288 grid
_FARTHEST = 20.0  # logits beyond this are certain; infinite ones would overflow


class Evidence(Struct, frozen=True, eq=False):
    """Logits made fit for a photo.

    `logits` (h, w) float32, finite; `inside` (h, w) uint8, 255 where they are > 0; `band` (h, w)
    float32, 1 within reach of the boundary and 0 elsewhere; `radius` of the filter's windows.
    """

    logits: Floats
    inside: NDArray[np.uint8]
    band: Floats
    radius: int

    @property
    def constant(self) -> int | None:
        """0 or 255 where the mask has no boundary at all."""
        if not self.inside.any():
            return 0
        return 255 if self.inside.all() else None


def weigh(logits: NDArray[np.floating], longest_guide: int) -> Evidence:
    """`logits` (h, w) for a guide whose longest side is `longest_guide`; raises ValueError for what
    is no grid."""
    known = _clean(logits)
    inside = np.where(known > 0, np.uint8(255), np.uint8(0))
    cell = longest_guide / max(known.shape)
    return Evidence(known, inside, _band(inside), max(1, min(16, round(1.75 * cell))))


def _clean(logits: NDArray[np.floating]) -> Floats:
    if logits.ndim != 2 or not logits.size:
        raise ValueError(f"logits must be a grid, not {logits.shape}")
    known = np.nan_to_num(logits.astype(np.float32), nan=-_FARTHEST)
    known = np.clip(known, -_FARTHEST, _FARTHEST)
    factor = _GRID / max(known.shape)
    if factor >= 1:
        return known
    size = (max(1, round(known.shape[1] * factor)), max(1, round(known.shape[0] * factor)))
    return np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_AREA), np.float32)


def _band(inside: NDArray[np.uint8]) -> Floats:
    reach = max(1, round(_BAND * max(1.0, max(inside.shape) / 288)))
    edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    near = cv2.dilate(edge, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return np.divide(near, 255, dtype=np.float32)
