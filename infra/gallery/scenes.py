"""Photos to show the actions on, and what is found in them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec import Struct

from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.segment.base import Instance, Segmentation, Segmenter
from infra.samples import ALBUMS, Sample, simulated_logits
from infra.samples.rooms import loft
from shared.concepts import Concept

_ABSENT = -8.0


class Scene(Protocol):
    """One photo. `engine` signs what was found."""

    @property
    def name(self) -> str: ...

    @property
    def engine(self) -> str: ...

    @property
    def pixels(self) -> Pixels: ...

    def find(self, concepts: Sequence[Concept]) -> list[Segmentation]: ...


class SampleScene(Struct, frozen=True, eq=False):
    """A photo made by code; its exact masks are turned into what a model would answer."""

    sample: Sample
    engine: str = "exact masks"

    @property
    def name(self) -> str:
        return self.sample.name

    @property
    def pixels(self) -> Pixels:
        return self.sample.pixels

    def find(self, concepts: Sequence[Concept]) -> list[Segmentation]:
        masks = {**self.sample.masks, **self.sample.things}
        return [_found(concept.id, masks) for concept in concepts]


class PhotoScene(Struct, frozen=True, eq=False):
    """A person's photo, seen by an engine."""

    name: str
    pixels: Pixels
    segmenter: Segmenter

    @property
    def engine(self) -> str:
        return self.segmenter.name

    def find(self, concepts: Sequence[Concept]) -> list[Segmentation]:
        prepared = self.segmenter.prepare(self.pixels)
        return self.segmenter.segment([prepared], [list(concepts)])[0]


@cache
def sample_scene(name: str, scale: float) -> SampleScene:
    """A sample photo by its name; raises KeyError for one that does not exist."""
    makers: dict[str, Callable[[float], Sample]] = {
        maker.__name__.replace("_", " "): maker
        for album in (*ALBUMS.values(), (loft,))
        for maker in album
    }
    return SampleScene(makers[name](scale))


def photo_scene(path: Path, segmenter: Segmenter) -> PhotoScene:
    """Raises OSError, and ImageError for what is no photo."""
    return PhotoScene(path.stem, decode_image(path.read_bytes()).pixels, segmenter)


def _found(concept: str, masks: Mapping[str, Alpha]) -> Segmentation:
    read = partial(np.full, (1, 1), dtype=np.float32)
    if concept not in masks:
        return Segmentation(concept, 0.0, read(fill_value=_ABSENT))
    logits = simulated_logits(masks[concept])
    rows, columns = np.nonzero(logits > 0)
    if not rows.size:
        return Segmentation(concept, 0.0, logits)
    side = logits.shape[0]
    box = columns.min() / side, rows.min() / side, (columns.max() + 1) / side, 1.0
    whole = (float(box[0]), float(box[1]), float(box[2]), float((rows.max() + 1) / side))
    return Segmentation(concept, 1.0, logits, (Instance(1.0, whole, logits),))
