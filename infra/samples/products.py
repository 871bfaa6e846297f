"""Four products on a table: what a seller photographs, with labels, logos and highlights."""

import math
from itertools import pairwise

from infra.samples.camera import Camera
from infra.samples.lettering import Print, printed
from infra.samples.light import Box, Light
from infra.samples.paints import matte, planks, weave
from infra.samples.photo import Film, Sample
from infra.samples.scene import Point, Scene, Size
from infra.samples.surface import Paint, Rectangle, Sphere, Turned

CONCEPTS = ("Body", "Label_Text", "Logo", "Gloss", "Parts", "Accessories")


class Table(Scene):
    """A table top at y = 0 in front of a plain backdrop; units are metres."""

    def __init__(self, top: Paint, backdrop: Paint, softbox: float) -> None:
        super().__init__()
        self.add(
            Rectangle((-1.3, 0, -0.7), (2.6, 0, 0), (0, 0, 1.5), top, texel=0.012),
            Rectangle((-1.3, 0, 0.8), (2.6, 0, 0), (0, 1.2, 0), backdrop),
        )
        self.lights.append(
            Light((-0.75, 0.95, -0.5), (0.5, 0, -0.1), (0, 0.3, 0.35), (1.0, 0.98, 0.95), softbox)
        )
        self.lights.append(
            Light((0.75, 0.35, -0.6), (0.05, 0, 0.35), (0, 0.5, 0), (0.9, 0.95, 1.0), softbox / 4)
        )

    def turned(
        self, profile: list[tuple[float, float]], paint: Paint, concept: str, gloss: float
    ) -> None:
        """A body of revolution about the middle; `profile` is (height, radius) from the bottom."""
        for (low, r0), (high, r1) in pairwise(profile):
            self.add(Turned((0, 0), low, high, r0, r1 + 1e-5, paint, concept, gloss=gloss))
            reach = 0.72 * max(r0, r1)
            self.boxes.append(Box((-reach, low, -reach), (reach, high, reach)))
        top, radius = profile[-1]
        lid = Rectangle(
            (-radius, top, -radius),
            (2 * radius, 0, 0),
            (0, 0, 2 * radius),
            paint,
            concept,
            round=True,
            gloss=gloss,
        )
        self.add(lid)

    def wrap(self, label: Print, low: float, radius: float, turn: float, concept: str) -> None:
        """Glue a label around the middle's side."""
        span = label.width / radius / 2
        self.add(
            Turned(
                (0, 0),
                low,
                low + label.height,
                radius + 0.0006,
                radius + 0.0006,
                printed(label, centred=True),
                concept,
                turn=turn,
                span=span,
            )
        )


def bottle(scale: float) -> Sample:
    table = Table(planks("#A67C52", width=0.3, length=2.0, seed=14), matte("#D9D4CA"), 0.62)
    glass = matte("#2F5D50", grain=0.004, cloud=0.004)
    side = 0.048
    profile = [
        (0.0, 0.044),
        (0.006, side),
        (0.17, side),
        (0.2, 0.036),
        (0.222, 0.019),
        (0.25, 0.017),
    ]
    table.turned(profile, glass, "Body", 0.9)
    table.turned([(0.25, 0.0185), (0.286, 0.0185)], matte("#1D1D1F", grain=0.003), "Parts", 0.5)
    label = Print(0.086, 0.09, ("GROVE", "olive & bergamot", "hand wash", "300 ml"))
    table.wrap(label, 0.045, side, 0.06, "Label_Text")
    camera = Camera((0.03, 0.27, -0.62), yaw=-2.0, pitch=-12.5, focal=1.25)
    film = Film(exposure=1.5, balance=(1.03, 1.0, 0.96), noise=1.5, seed=21)
    return _shoot(table, "bottle", camera, film, (0.34, 0.34, 0.35), scale)


def gift_box(scale: float) -> Sample:
    table = Table(matte("#E6E0D6", cloud=0.01), matte("#E9E4DB"), 0.6)
    card = matte("#B5485A", grain=0.012, cloud=0.01, seed=71)
    low, high = (-0.11, 0.0, -0.06), (0.11, 0.15, 0.09)
    table.block(low, high, card, "Body")
    label = Print(0.12, 0.055, ("MAISON ROSE", "twelve chocolates"), "#F7EFE6", "#7A2A38")
    face = ((-0.085, 0.022, -0.061), (label.width, 0, 0), (0, label.height, 0))
    table.add(Rectangle(*face, printed(label, centred=False), "Label_Text", lift=0.002))
    emblem = Print(0.042, 0.042, ("M",), "#E7C77B", "#7A2A38", "#7A2A38")
    at = ((-0.021, 0.094, -0.061), (emblem.width, 0, 0), (0, emblem.height, 0))
    table.add(Rectangle(*at, printed(emblem, centred=False), "Logo", lift=0.002, round=True))
    band = matte("#E9D9C2", grain=0.006)
    table.add(
        Rectangle((0.06, 0.0, -0.061), (0.026, 0, 0), (0, 0.15, 0), band, "Accessories", lift=0.001)
    )
    table.add(
        Rectangle(
            (0.06, 0.1505, -0.06), (0.026, 0, 0), (0, 0, 0.15), band, "Accessories", lift=0.001
        )
    )
    camera = Camera((-0.28, 0.32, -0.55), yaw=26.0, pitch=-22.0, focal=1.2)
    film = Film(exposure=1.3, balance=(1.0, 1.0, 1.0), noise=1.3, seed=22)
    return _shoot(table, "gift box", camera, film, (0.42, 0.42, 0.43), scale)


def mug(scale: float) -> Sample:
    table = Table(planks("#6E5140", width=0.35, length=2.0, seed=15), matte("#9DB0B8"), 0.66)
    glaze = matte("#E3A63B", grain=0.006, cloud=0.01, seed=75)
    radius = 0.046
    table.turned([(0.0, 0.040), (0.008, radius), (0.105, radius)], glaze, "Body", 0.7)
    rim = radius - 0.005
    inside = Rectangle(
        (-rim, 0.1056, -rim),
        (2 * rim, 0, 0),
        (0, 0, 2 * rim),
        matte("#5B3A22", grain=0.01),
        round=True,
        lift=0.0005,
    )
    table.add(inside)
    _handle(table, glaze, radius)
    emblem = Print(0.04, 0.04, ("K",), "#FBF6EA", "#33373B", "#33373B")
    table.wrap(emblem, 0.036, radius, -0.1, "Logo")
    camera = Camera((0.05, 0.2, -0.5), yaw=-4.0, pitch=-16.5, focal=1.35)
    film = Film(exposure=1.6, balance=(1.02, 1.0, 0.97), noise=1.7, seed=23)
    return _shoot(table, "mug", camera, film, (0.33, 0.34, 0.36), scale)


def candle(scale: float) -> Sample:
    table = Table(weave("#D8CFC0", thread=0.006, seed=77), matte("#C9BBA8"), 0.6)
    jar = matte("#8C98A8", grain=0.004, cloud=0.008, seed=79)
    radius = 0.052
    table.turned([(0.0, 0.047), (0.006, radius), (0.1, radius)], jar, "Body", 0.8)
    wood = planks("#C19A6B", width=0.05, seed=16)
    table.turned([(0.1, 0.0545), (0.121, 0.0545)], wood, "Parts", 0.15)
    label = Print(0.066, 0.056, ("EMBER", "cedar, smoke, fig", "190 g"), "#F6F1E7", "#2D3440")
    table.wrap(label, 0.022, radius, 0.08, "Label_Text")
    table.block((0.11, 0.0, -0.03), (0.18, 0.016, 0.0), matte("#B1503C"), "Accessories")
    camera = Camera((0.07, 0.2, -0.52), yaw=-5.0, pitch=-16.0, focal=1.3)
    film = Film(exposure=1.5, balance=(1.05, 1.0, 0.93), noise=1.6, seed=24)
    return _shoot(table, "candle", camera, film, (0.36, 0.35, 0.34), scale)


def _handle(table: Table, glaze: Paint, radius: float) -> None:
    """A ring of overlapping balls beside the mug."""
    steps = 36
    for index in range(steps):
        angle = math.pi * (index + 0.5) / steps - math.pi / 2
        x, y = radius + 0.026 * math.cos(angle), 0.054 + 0.03 * math.sin(angle)
        table.add(Sphere((x, y, 0.0), 0.0068, glaze, "Body", gloss=0.4))


def _shoot(
    table: Table, name: str, camera: Camera, film: Film, ambient: Point, scale: float
) -> Sample:
    return table.photograph(name, camera, film, ambient, CONCEPTS, Size().scaled(scale))
