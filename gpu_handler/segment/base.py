"""The Segmenter protocol: several photos × several concepts in, low-resolution logits out.

The shape follows SAM3: logits on a small grid that is stretched over the whole photo, a score and
a box for each instance, and a presence score for the concept in that photo.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Pixels
from shared.presets import Concept

Logits: TypeAlias = NDArray[np.float32]
"""(h, w) float32 on a grid stretched over the photo; > 0 means inside."""


InstanceLogits: TypeAlias = NDArray[np.float16] | Logits
"""(h, w) on the grid of the concept's logits; half precision keeps a hundred of them small."""


class Source(StrEnum):
    """What the mask of a concept was made of."""

    INSTANCES = "instances"  # the union of the instances that were sure enough
    SEMANTIC = "semantic"  # a map of the whole concept, which saw more than the instances did


class Instance(Struct, frozen=True, eq=False):
    """One found instance. `score` in 0..1; `box` = (x0, y0, x1, y1) in 0..1 of the photo."""

    score: float
    box: tuple[float, float, float, float]
    logits: InstanceLogits


class Segmentation(Struct, frozen=True, eq=False):
    """One concept in one photo.

    `logits` is the mask of the whole concept; `presence` in 0..1 says how sure the engine is that
    the concept is there at all. Instances come in a stable order: the same photo gives the same
    numbers. An absent concept has no instances and logits below zero everywhere.

    `phrase` is the wording that found it, the last one tried where none did; empty for an engine
    that reads no words. `capped` says that the engine may have seen more instances than it can
    tell apart at once.
    """

    concept: str
    presence: float
    logits: Logits
    instances: tuple[Instance, ...] = ()
    source: Source = Source.INSTANCES
    phrase: str = ""
    capped: bool = False

    @property
    def found(self) -> bool:
        return bool(self.instances)


class Segmenter(Protocol):
    """An engine. `segment` may be slow and is called from one thread at a time."""

    @property
    def name(self) -> str:
        """What every result is signed with: `classical`, `sam3`."""
        ...

    @property
    def photos_at_once(self) -> int:
        """How many photos a call of `segment` does best with; 1 where there is nothing to gain."""
        ...

    def prepare(self, photo: Pixels) -> Pixels:
        """The photo as `segment` looks at it, often much smaller. Thread-safe, and idempotent.

        It is what can be done before the engine's turn comes, in any thread.
        """
        ...

    def segment(
        self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
    ) -> list[list[Segmentation]]:
        """Find `concepts[i]` in the prepared `photos[i]`; answers have the same nesting and order.

        Raises DeviceExhausted and DeviceLost.
        """
        ...
