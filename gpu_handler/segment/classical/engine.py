"""Segmentation without learning, for where no model is configured.

It tells the large surfaces of a room and a product on a plain backdrop; whatever else is asked
for is reported absent.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from gpu_handler.imaging.pixels import shrink
from gpu_handler.segment.base import Pixels, Segmentation
from gpu_handler.segment.classical.cells import Cells, cells
from gpu_handler.segment.classical.grid import Finding, absent, segmentation
from gpu_handler.segment.classical.marks import Marks, read_marks
from gpu_handler.segment.classical.openings import doors, find_windows
from gpu_handler.segment.classical.product import find_body
from gpu_handler.segment.classical.regions import merge
from gpu_handler.segment.classical.room import Room, read_room
from gpu_handler.segment.classical.scene import Scene
from gpu_handler.segment.classical.shapes import Mask
from gpu_handler.segment.classical.trim import lamps, trim
from gpu_handler.segment.classical.view import WORK, View
from shared.presets import Concept


class ClassicalSegmenter:
    """Colour, place, texture and straight lines; no weights, no accelerator.

    A surface is one instance, whatever parts it in the photo. Logits come on a grid of at most
    512 pixels. The same photo gives the same answer, on any thread.
    """

    @property
    def name(self) -> str:
        return "classical"

    @property
    def photos_at_once(self) -> int:
        return 1

    def prepare(self, photo: Pixels) -> Pixels:
        return np.ascontiguousarray(shrink(np.ascontiguousarray(photo), WORK))

    def segment(
        self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
    ) -> list[list[Segmentation]]:
        """Find `concepts[i]` in `photos[i]`; a concept it has no rule for is absent."""
        return [
            _Reading(View(photo)).answer(wanted)
            for photo, wanted in zip(photos, concepts, strict=True)
        ]


class _Reading:
    """One photo; what several concepts need is worked out once."""

    def __init__(self, view: View) -> None:
        self.view = view

    def answer(self, wanted: Sequence[Concept]) -> list[Segmentation]:
        return [self._one(concept.id) for concept in wanted]

    def _one(self, concept: str) -> Segmentation:
        rule = _RULES.get(concept)
        if rule is None or self.view.too_small or self.view.blank:
            return absent(concept, self.view.shape)
        return segmentation(concept, self.view.shape, rule(self))

    @cached_property
    def fine(self) -> Scene:
        return Scene(self.view, self._parts, merge(self._parts, 2.8))

    @cached_property
    def coarse(self) -> Scene:
        return Scene(self.view, self._parts, merge(self._parts, 1.4))

    @cached_property
    def _parts(self) -> Cells:
        return cells(self.view)

    @cached_property
    def room(self) -> Room:
        return read_room(self.fine, self.coarse)

    @cached_property
    def windows(self) -> list[Mask]:
        return find_windows(self.view, self.room)

    @cached_property
    def body(self) -> Mask:
        return find_body(self.view)

    @cached_property
    def marks(self) -> Marks:
        return read_marks(self.view, self.body)


def _whole(mask: Mask, score: float) -> list[Finding]:
    return [Finding(mask, score)]


_RULES: dict[str, Callable[[_Reading], list[Finding]]] = {
    "Wall": lambda r: _whole(r.room.wall, 0.8),
    "Floor": lambda r: _whole(r.room.floor, 0.75),
    "Ceiling": lambda r: _whole(r.room.ceiling, 0.8),
    "Window": lambda r: [Finding(m, 0.6) for m in r.windows],
    "Door": lambda r: [Finding(m, 0.55) for m in doors(r.fine, r.room)],
    "Frame_Molding": lambda r: [Finding(m, 0.5) for m in trim(r.fine, r.room, r.windows)],
    "Light": lambda r: [Finding(m, 0.5) for m in lamps(r.fine, r.room, r.windows)],
    "Body": lambda r: _whole(r.body & ~r.marks.label & ~r.marks.logo & ~r.marks.parts, 0.85),
    "Label_Text": lambda r: _whole(r.marks.label, 0.6),
    "Logo": lambda r: _whole(r.marks.logo, 0.55),
    "Parts": lambda r: _whole(r.marks.parts, 0.5),
    "Gloss": lambda r: _whole(r.marks.gloss, 0.55),
}
