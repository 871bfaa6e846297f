"""The backend for a device of torch."""

import threading

import torch

from gpu_handler.backends.base import Canvas
from gpu_handler.backends.tensors.canvas import TensorCanvas
from gpu_handler.backends.tensors.turn import Turn
from gpu_handler.imaging.pixels import Pixels


class TensorBackend:
    """Thread-safe: canvases work on the stream of the thread that opened them."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self.name = f"torch-{self._device.type}"
        self._own = threading.local()

    def open(self, photo: Pixels) -> Canvas:
        return TensorCanvas(photo, self._turn())

    def _turn(self) -> Turn:
        # torch keeps freed memory for the stream it was taken on: with a stream for each canvas,
        # as much as many photos need would lie idle beside the model.
        turn: Turn | None = getattr(self._own, "turn", None)
        if turn is None:
            turn = self._own.turn = Turn(self._device)
        return turn
