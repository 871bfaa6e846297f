"""A scene under construction: shapes, what throws shadows, lights; and its photo."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import numpy as np
from msgspec import Struct, structs

from infra.samples.camera import Camera
from infra.samples.light import Box, Light, highlights, shade
from infra.samples.photo import Film, Sample, cover, develop
from infra.samples.surface import Drawing, Paint, Rectangle, Shape

Point = tuple[float, float, float]
GLOSS_FROM = 0.25
"""Mirrored light from which a highlight counts as gloss."""


class Scene:
    """Add pieces, then `photograph`."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.boxes: list[Box] = []
        self.lights: list[Light] = []

    def add(self, *shapes: Shape) -> None:
        self.shapes.extend(shapes)

    @contextmanager
    def thing(self, name: str) -> Generator[None]:
        """What is added inside, and belongs to no concept, is this thing."""
        first = len(self.shapes)
        yield
        self.shapes[first:] = [
            shape if shape.concept else structs.replace(shape, concept=name)
            for shape in self.shapes[first:]
        ]

    def block(
        self, low: Point, high: Point, paint: Paint, concept: str = "", *, gloss: float = 0.0
    ) -> None:
        """An upright box that throws shadows."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        width, height, depth = (x1 - x0, 0.0, 0.0), (0.0, y1 - y0, 0.0), (0.0, 0.0, z1 - z0)
        back = (0.0, 0.0, z0 - z1)
        faces = [
            ((x0, y0, z0), width, height),
            ((x0, y1, z0), width, depth),
            ((x1, y0, z0), depth, height),
            ((x0, y0, z1), back, height),
        ]
        for corner, across, along in faces:
            self.add(Rectangle(corner, across, along, paint, concept, gloss=gloss))
        self.boxes.append(Box(low, high))

    def photograph(
        self,
        name: str,
        camera: Camera,
        film: Film,
        ambient: Point,
        concepts: Sequence[str],
        size: tuple[int, int],
        things: Sequence[str] = (),
    ) -> Sample:
        """Draw at `size` = (width, height). Only concepts and things that are seen get a mask."""
        width, height = size
        drawing = Drawing(camera, width, height)
        drawing.draw(self.shapes)
        light = shade(drawing, self.shapes, self.lights, self.boxes, ambient)
        mirrored = highlights(drawing, self.shapes, self.lights)
        light += mirrored[..., None]
        names = np.array([shape.concept for shape in self.shapes] + [""])
        seen = names[drawing.shape]
        masks = {concept: cover(seen == concept) for concept in concepts if concept != "Gloss"}
        if "Gloss" in concepts:
            masks["Gloss"] = cover((mirrored > GLOSS_FROM) & (seen == "Body"))
        found = {concept: mask for concept, mask in masks.items() if mask.max() > 127}
        pieces = {thing: cover(seen == thing) for thing in things if (seen == thing).any()}
        return Sample(name, develop(light, film), found, pieces)


class Size(Struct, frozen=True):
    """A phone's 4:3 picture, in pixels."""

    width: int = 2016
    height: int = 1512

    def scaled(self, scale: float) -> tuple[int, int]:
        return max(16, round(self.width * scale)), max(12, round(self.height * scale))
