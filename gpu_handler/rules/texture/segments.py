"""Straight line segments of a small picture."""

from typing import Any

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Pixels, shrink

Points = NDArray[np.floating[Any]]

_WORK = 800  # longest side at which lines are looked for; finer finds the grain of the surfaces
_SHORTEST = 0.025  # of the longest side: what is shorter has no direction to speak of
_MOST = 320  # the longest ones are enough, and the search costs in proportion


class Segments(Struct, frozen=True, eq=False):
    """n segments, longest first; `starts` and `ends` (n, 2) float64.

    Coordinates are (x right, y down) from the centre of the picture, its longest side being 1.
    """

    starts: Points
    ends: Points

    @property
    def middles(self) -> Points:
        return (self.starts + self.ends) / 2

    @property
    def lengths(self) -> Points:
        return np.hypot(*(self.ends - self.starts).T)

    @property
    def directions(self) -> Points:
        """(n, 2) unit vectors."""
        return (self.ends - self.starts) / np.maximum(self.lengths, 1e-12)[:, None]


NONE = Segments(np.zeros((0, 2)), np.zeros((0, 2)))


def find_segments(picture: Pixels) -> Segments:
    """The longest straight edges of (h, w, 3) uint8; none in a picture without any.

    R. Grompone von Gioi et al., "LSD: a Line Segment Detector", 2012, as OpenCV has it.
    """
    grey = np.asarray(cv2.cvtColor(shrink(picture, _WORK), cv2.COLOR_RGB2GRAY), np.uint8)
    height, width = grey.shape
    if min(height, width) < 16:
        return NONE
    # None where there is no line at all, whatever the stubs say.
    found: Any = cv2.createLineSegmentDetector().detect(grey)[0]
    lines = np.array([] if found is None else found, np.float64).reshape(-1, 4)
    lines = (lines - np.tile([(width - 1) / 2, (height - 1) / 2], 2)) / max(height, width)
    lengths = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
    order = np.argsort(-lengths, kind="stable")
    lines = lines[order[lengths[order] > _SHORTEST][:_MOST]]
    return Segments(lines[:, :2], lines[:, 2:])
