"""A pinhole camera: pixels to rays and points back to pixels."""

from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]

Vectors: TypeAlias = Floats
"""(..., 3): x to the right, y up, z into the scene; metres."""


class Camera(Struct, frozen=True):
    """`eye` in metres; `yaw` and `pitch` in degrees (to the right, upwards); `focal` in widths."""

    eye: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    focal: float = 0.75

    def axes(self) -> Vectors:
        """(3, 3): the camera's right, up and forward, one a row."""
        yaw, pitch = np.radians([self.yaw, self.pitch])
        forward = np.array(
            [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
        )
        right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
        return np.stack([right, np.cross(forward, right), forward]).astype(np.float32)

    def rays(self, width: int, height: int) -> Vectors:
        """(height, width, 3) directions through the pixel centres, not normalised."""
        x = ((np.arange(width) + 0.5) / width - 0.5) / self.focal
        y = (0.5 - (np.arange(height) + 0.5) / height) * (height / width) / self.focal
        right, up, forward = self.axes()
        across = x[None, :, None].astype(np.float32) * right
        upward = y[:, None, None].astype(np.float32) * up
        return (forward + across + upward).astype(np.float32)

    def project(self, points: Vectors, width: int, height: int) -> NDArray[np.float64]:
        """(N, 2) pixel positions; points behind the camera are pushed far off the picture."""
        local = (points - np.asarray(self.eye, np.float32)) @ self.axes().T
        depth = np.maximum(local[:, 2], 0.05)
        x = (local[:, 0] / depth * self.focal + 0.5) * width
        y = (0.5 - local[:, 1] / depth * self.focal * width / height) * height
        return np.stack([x, y], axis=1).astype(np.float64)
