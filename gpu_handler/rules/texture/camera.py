"""A camera in an upright room: pixels to directions in the room and back."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

USUAL_FOCAL = 26 / 36
"""Focal length in longest sides of the picture: a phone's main camera, 26 mm on 36 mm film."""


class Camera(Struct, frozen=True):
    """`shape` (H, W) of the picture; `focal` in its longest sides; angles in radians.

    The room's axes are right, down and depth; walls stand along them. With all angles 0 they are
    those of the picture. `yaw` turns the camera to the left against them (the room's depth lies
    to the right of the picture's centre then), `pitch` is positive where it looks up, `roll`
    where the picture is turned clockwise.
    """

    shape: tuple[int, int]
    focal: float = USUAL_FOCAL
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def pixels(self) -> float:
        """The focal length in pixels."""
        return self.focal * max(self.shape)

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y), pixel centres at whole numbers."""
        return (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2

    def axes(self) -> Matrix:
        """(3, 3): right, down and depth of the room in the camera's coordinates, one a row."""
        return turned(self.yaw, self.pitch, self.roll)

    def rays(self) -> Matrix:
        """(3, 3): (x, y, 1) of a pixel to its direction (right, down, depth) in the room."""
        (x, y), f = self.centre, self.pixels
        return self.axes() @ np.array(((1 / f, 0, -x / f), (0, 1 / f, -y / f), (0, 0, 1)))

    def vanishing_point(self, direction: tuple[float, float, float]) -> tuple[float, float] | None:
        """Where lines of that direction in the room meet, (x, y) in pixels; None where they do
        not, for they are parallel in the picture."""
        right, down, depth = np.asarray(direction, np.float64) @ self.axes()
        if abs(depth) < 1e-6 * float(np.hypot(right, down)):
            return None
        x, y = self.centre
        return x + self.pixels * float(right / depth), y + self.pixels * float(down / depth)

    def horizon(self, x: float) -> float:
        """The row at column `x` where everything as high as the camera lies."""
        a, b, c = self.rays()[1]
        return -float((a * x + c) / b)


def turned(yaw: float, pitch: float, roll: float) -> Matrix:
    """(3, 3) the axes of `Camera.axes`."""
    cy, sy, cp, sp, cr, sr = *_turn(yaw), *_turn(pitch), *_turn(roll)
    across = np.array(((cy, 0, -sy), (0, 1, 0), (sy, 0, cy)))
    up = np.array(((1, 0, 0), (0, cp, -sp), (0, sp, cp)))
    around = np.array(((cr, sr, 0), (-sr, cr, 0), (0, 0, 1)))
    return across @ up @ around


def _turn(angle: float) -> tuple[float, float]:
    return float(np.cos(angle)), float(np.sin(angle))
