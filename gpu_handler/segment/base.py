"""The Segmenter protocol: several photos × several concepts in, low-resolution logits out.

The shape follows SAM3: logits on a small grid that is stretched over the whole photo, a score and
a box for each instance, and a presence score for the concept in that photo.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Pixels
from shared.presets import Concept

Logits: TypeAlias = NDArray[np.float32]
"""(h, w) float32 on a grid stretched over the photo; > 0 means inside."""


class Instance(Struct, frozen=True, eq=False):
    """One found instance. `score` in 0..1; `box` = (x0, y0, x1, y1) in 0..1 of the photo."""

    score: float
    box: tuple[float, float, float, float]
    logits: Logits


class Segmentation(Struct, frozen=True, eq=False):
    """One concept in one photo.

    `logits` is the mask of the whole concept; `presence` in 0..1 says how sure the engine is that
    the concept is there at all. Instances come in a stable order: the same photo gives the same
    numbers. An absent concept has no instances and logits below zero everywhere.
    """

    concept: str
    presence: float
    logits: Logits
    instances: tuple[Instance, ...] = ()

    @property
    def found(self) -> bool:
        return bool(self.instances)


class Segmenter(Protocol):
    """An engine. `segment` may be slow and is called from one thread at a time."""

    @property
    def name(self) -> str:
        """What every result is signed with: `classical`, `sam3`."""
        ...

    def segment(
        self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
    ) -> list[list[Segmentation]]:
        """Find `concepts[i]` in `photos[i]`; the answer has the same nesting and order."""
        ...
