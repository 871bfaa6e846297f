"""What the worker paints with: the backends, how edges are made, and the learned inpainter."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from gpu_handler.backends.base import Canvas, Edges, PixelBackend
from gpu_handler.devices.errors import DeviceExhausted
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.inpainting.base import Inpainter

T = TypeVar("T")

log = logging.getLogger(__name__)


class Brushwork:
    """Shared by all photos of the worker; thread-safe as its backends are."""

    def __init__(
        self,
        backends: Sequence[PixelBackend],
        edges: Edges = Edges.FINE,
        inpainter: Inpainter | None = None,
    ) -> None:
        """`backends`, one or more: the one to use, then those where it has no room for a photo."""
        if not backends:
            raise ValueError("one backend at least")
        self.backends = tuple(backends)
        self.edges = edges
        self.inpainter = inpainter

    def run(self, photo: Pixels, work: Callable[[Canvas], T]) -> T:
        """What `work` makes of a canvas of `photo`; begun anew on the next backend where one has
        no memory left. Raises DeviceLost, and DeviceExhausted where none has."""
        *first, last = self.backends
        for backend in first:
            try:
                return work(backend.open(photo))
            except DeviceExhausted as error:
                log.warning("%s has no room for a photo: %s", backend.name, error)
        return work(last.open(photo))
