"""The backend for a device of torch."""

import torch

from gpu_handler.backends.base import Canvas
from gpu_handler.backends.tensors.canvas import TensorCanvas
from gpu_handler.backends.tensors.turn import Turn
from gpu_handler.imaging.pixels import Pixels


class TensorBackend:
    """Thread-safe: each canvas has a stream of its own."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self.name = f"torch-{self._device.type}"

    def open(self, photo: Pixels) -> Canvas:
        return TensorCanvas(photo, Turn(self._device))
