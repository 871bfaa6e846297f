"""The backend that every machine has."""

from gpu_handler.backends.base import Canvas
from gpu_handler.imaging.pixels import Pixels


class CpuBackend:
    """Thread-safe; its loops let go of the interpreter's lock, so photos run side by side."""

    name = "cpu"

    def open(self, photo: Pixels) -> Canvas:
        # The loops are compiled, or read from a cache, when a photo is first opened: a worker whose
        # GPU does the work never waits for that.
        from gpu_handler.backends.cpu.canvas import CpuCanvas

        return CpuCanvas(photo)
