"""Four rooms: walls, floor, ceiling, windows, doors, mouldings, and what people put in them."""

from msgspec import Struct

from infra.samples.camera import Camera
from infra.samples.light import Box, Light
from infra.samples.paints import canvas, matte, planks, stripes, tiles, view, weave
from infra.samples.photo import Film, Sample
from infra.samples.scene import Point, Scene, Size
from infra.samples.surface import Paint, Rectangle, Sphere

CONCEPTS = ("Wall", "Floor", "Ceiling", "Window", "Door", "Frame_Molding", "Light", "Cabinet")
THINGS = ("Sofa", "Table", "Picture", "Rug", "Plant", "Bed", "Chair")
TRIM = matte("#F2EFE8", grain=0.006, cloud=0.004, seed=3)
SKIRTING = 0.11


class Shell(Struct, frozen=True, eq=False):
    """An empty room: metres, and what its surfaces are painted with."""

    width: float
    height: float
    depth: float
    wall: Paint
    floor: Paint
    ceiling: Paint = matte("#F4F2EC", grain=0.008, seed=7)


class Room(Scene):
    """x from the left wall, y from the floor, z from behind the camera to the back wall."""

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self.shell = shell
        w, h, d = shell.width, shell.height, shell.depth
        self.add(
            Rectangle((0, 0, 0), (w, 0, 0), (0, 0, d), shell.floor, "Floor"),
            Rectangle((0, h, d), (w, 0, 0), (0, 0, -d), shell.ceiling, "Ceiling"),
            Rectangle((0, 0, d), (w, 0, 0), (0, h, 0), shell.wall, "Wall"),
            Rectangle((0, 0, 0), (0, 0, d), (0, h, 0), shell.wall, "Wall"),
            Rectangle((w, 0, d), (0, 0, -d), (0, h, 0), shell.wall, "Wall"),
        )
        # The walls themselves: they darken each other's corners.
        self.boxes += [
            Box((-0.5, -0.5, d + 0.001), (w + 0.5, h + 0.5, d + 0.5)),
            Box((-0.5, -0.5, -0.5), (-0.001, h + 0.5, d + 0.5)),
            Box((w + 0.001, -0.5, -0.5), (w + 0.5, h + 0.5, d + 0.5)),
            Box((-0.5, -0.5, -0.5), (w + 0.5, -0.001, d + 0.5)),
            Box((-0.5, h + 0.001, -0.5), (w + 0.5, h + 0.5, d + 0.5)),
        ]
        self._skirting()

    def _skirting(self) -> None:
        w, d, s, t = self.shell.width, self.shell.depth, SKIRTING, 0.02
        self._trim((0, 0, d - t), (w, 0, 0), (0, s, 0))
        self._trim((t, 0, 0), (0, 0, d), (0, s, 0))
        self._trim((w - t, 0, d), (0, 0, -d), (0, s, 0))

    def _trim(self, corner: Point, across: Point, along: Point, lift: float = 0.004) -> None:
        self.add(Rectangle(corner, across, along, TRIM, "Frame_Molding", lift=lift))

    def window(self, x: float, y: float, width: float, height: float, scenery: Paint) -> None:
        """On the back wall: panes, sash bars, frame, sill, and the light that comes in."""
        d, f, bar = self.shell.depth, 0.09, 0.035
        self._frame(x, y, width, height, f)
        pane = Rectangle(
            (x, y, d - 0.012),
            (width, 0, 0),
            (0, height, 0),
            scenery,
            "Window",
            glow=1.0,
            lift=0.006,
        )
        self.add(pane)
        for offset in (width / 2 - bar / 2,):
            at = (x + offset, y, d - 0.016)
            self.add(Rectangle(at, (bar, 0, 0), (0, height, 0), TRIM, "Window", lift=0.012))
        at = (x, y + height * 0.62, d - 0.016)
        self.add(Rectangle(at, (width, 0, 0), (0, bar, 0), TRIM, "Window", lift=0.012))
        self.lights.append(
            Light((x, y, d - 0.05), (width, 0, 0), (0, height, 0), (1.0, 1.02, 1.08), 5.2)
        )

    def _frame(self, x: float, y: float, width: float, height: float, f: float) -> None:
        z = self.shell.depth - 0.014
        pieces = [
            ((x - f, y - f, z), (width + 2 * f, 0, 0), (0, f, 0)),
            ((x - f, y + height, z), (width + 2 * f, 0, 0), (0, f, 0)),
            ((x - f, y, z), (f, 0, 0), (0, height, 0)),
            ((x + width, y, z), (f, 0, 0), (0, height, 0)),
        ]
        for corner, across, along in pieces:
            self._trim(corner, across, along, lift=0.006)

    def door(self, z: float, width: float, height: float, paint: Paint) -> None:
        """On the left wall, `z` its near edge: leaf, panels, frame, handle."""
        x, f = 0.012, 0.08
        self.add(Rectangle((x, 0, z), (0, 0, width), (0, height, 0), paint, "Door", lift=0.01))
        for bottom, top in ((0.18, 0.85), (1.0, height - 0.18)):
            corner, across = (x + 0.03, bottom, z + 0.14), (0, 0, width - 0.28)
            self.add(Rectangle(corner, across, (0, top - bottom, 0), paint, "Door", lift=0.012))
        self.add(Sphere((x + 0.05, 1.0, z + 0.1), 0.03, matte("#B08D57"), "Handle", gloss=0.3))
        self._trim((x, 0, z - f), (0, 0, f), (0, height + f, 0), lift=0.012)
        self._trim((x, 0, z + width), (0, 0, f), (0, height + f, 0), lift=0.012)
        self._trim((x, height, z), (0, 0, width), (0, f, 0), lift=0.012)

    def picture(
        self, x: float, y: float, width: float, height: float, paint: Paint, rim: str
    ) -> None:
        """On the back wall."""
        z = self.shell.depth - 0.03
        self.block((x, y, z), (x + width, y + height, self.shell.depth), matte(rim))
        inner = ((x + 0.04, y + 0.04, z - 0.002), (width - 0.08, 0, 0), (0, height - 0.08, 0))
        self.add(Rectangle(*inner, paint, lift=0.006))

    def sofa(self, x: float, z: float, width: float, cloth: Paint, cushion: Paint) -> None:
        """Its back towards the back wall."""
        self.block((x, 0.12, z), (x + width, 0.42, z + 0.85), cloth)
        self.block((x, 0.42, z + 0.62), (x + width, 0.84, z + 0.85), cloth)
        self.block((x, 0.12, z - 0.02), (x + 0.2, 0.62, z + 0.85), cloth)
        self.block((x + width - 0.2, 0.12, z - 0.02), (x + width, 0.62, z + 0.85), cloth)
        seat = (width - 0.4) / 2
        for index in range(2):
            left = x + 0.2 + index * seat
            self.block((left + 0.01, 0.42, z + 0.01), (left + seat - 0.01, 0.54, z + 0.62), cloth)
        self.block((x + 0.26, 0.54, z + 0.42), (x + 0.7, 0.92, z + 0.56), cushion)
        for foot in (x + 0.05, x + width - 0.11):
            self.block((foot, 0, z + 0.05), (foot + 0.06, 0.12, z + 0.11), matte("#3A2A1E"))

    def table(
        self, x: float, z: float, width: float, depth: float, top: float, wood: Paint
    ) -> None:
        self.block((x, top - 0.05, z), (x + width, top, z + depth), wood)
        for dx in (0.04, width - 0.1):
            for dz in (0.04, depth - 0.1):
                low = (x + dx, 0.0, z + dz)
                self.block(low, (x + dx + 0.06, top - 0.05, z + dz + 0.06), wood)

    def rug(self, x: float, z: float, width: float, depth: float, cloth: Paint) -> None:
        self.add(Rectangle((x, 0.008, z), (width, 0, 0), (0, 0, depth), cloth, lift=0.004))

    def plant(self, x: float, z: float, seed: int) -> None:
        self.block((x - 0.16, 0, z - 0.16), (x + 0.16, 0.36, z + 0.16), matte("#B9714F", seed=9))
        leaf = matte("#3F6B3A", grain=0.16, cloud=0.2, seed=seed)
        spots = [(0, 0.72, 0.2), (0.16, 0.9, 0.15), (-0.17, 0.94, 0.16), (0.04, 1.12, 0.15)]
        for dx, y, radius in spots:
            self.add(Sphere((x + dx, y, z + dx * 0.4), radius, leaf))
        self.boxes.append(Box((x - 0.2, 0.55, z - 0.15), (x + 0.2, 1.2, z + 0.15)))

    def pendant(self, x: float, y: float, z: float, radius: float) -> None:
        cord = Box((x - 0.006, y, z - 0.006), (x + 0.006, self.shell.height, z + 0.006))
        self.block(cord.low, cord.high, matte("#333333"))
        self.add(Sphere((x, y, z), radius, matte("#FFF3DC"), "Light", glow=0.95))
        self.lights.append(
            Light((x - 0.1, y - radius, z - 0.1), (0.2, 0, 0), (0, 0, 0.2), (1.0, 0.86, 0.66), 0.9)
        )

    def downlight(self, power: float, color: Point = (1.0, 0.95, 0.88)) -> None:
        """Light from behind the camera: the rest of the room."""
        w, h = self.shell.width, self.shell.height
        self.lights.append(
            Light((w * 0.2, h - 0.02, 0.3), (w * 0.6, 0, 0), (0, 0, 1.0), color, power)
        )


def living_room(scale: float) -> Sample:
    room = Room(Shell(5.2, 2.7, 5.4, matte("#DDC9A0"), planks("#B98E5E")))
    room.window(3.15, 0.85, 1.35, 1.45, view("#DCEBFA", "#7E9A6B", 0.45))
    with room.thing("Picture"):
        room.picture(
            1.1,
            1.35,
            0.95,
            0.7,
            canvas(("#2F4858", "#F6AE2D", "#F4EBD9", "#C8553D"), 61),
            "#2B2118",
        )
    with room.thing("Rug"):
        room.rug(0.9, 2.6, 2.6, 1.7, stripes(("#D9D2C5", "#A9B2AC", "#D9D2C5", "#8B6F5C"), 0.17))
    with room.thing("Sofa"):
        room.sofa(0.65, 4.2, 2.0, weave("#5F7480"), weave("#D9A441", seed=23))
    with room.thing("Table"):
        room.table(1.35, 2.95, 1.0, 0.6, 0.4, planks("#6B4A33", width=0.3, seed=8))
    with room.thing("Plant"):
        room.plant(4.65, 4.9, 51)
    room.downlight(2.0)
    camera = Camera((2.15, 1.45, 0.35), yaw=4.0, pitch=-5.0, focal=0.72)
    film = Film(exposure=1.12, balance=(1.03, 1.0, 0.95), seed=11)
    return room.photograph(
        "living room", camera, film, (0.30, 0.30, 0.31), CONCEPTS, Size().scaled(scale), THINGS
    )


def bedroom(scale: float) -> Sample:
    room = Room(Shell(4.4, 2.6, 4.8, matte("#B7C0B2", seed=13), planks("#8E6A48", width=0.2)))
    room.window(0.45, 0.9, 1.2, 1.3, view("#F1F4F7", "#9CA88E", 0.3))
    with room.thing("Picture"):
        room.picture(2.55, 1.55, 0.6, 0.6, canvas(("#F4EDE1", "#D7A48F", "#9A5B4F"), 67), "#D8C7A8")
    room.door(2.75, 0.85, 2.05, matte("#EFEAE0", grain=0.005))
    linen, frame = weave("#ECE6DC", seed=29), matte("#7A5B41", grain=0.06)
    room.block((1.95, 0.0, 4.66), (3.9, 1.05, 4.8), frame)
    room.block((2.0, 0.12, 2.75), (3.85, 0.46, 4.66), linen)
    room.block((1.99, 0.40, 2.73), (3.86, 0.52, 3.95), weave("#9A6C5B", seed=37))
    for left in (2.15, 3.0):
        room.block((left, 0.46, 4.2), (left + 0.7, 0.62, 4.6), weave("#F7F3EC", seed=31))
    room.block((1.35, 0, 4.3), (1.85, 0.5, 4.75), planks("#A67C52", width=0.25))
    room.add(Sphere((1.6, 0.64, 4.52), 0.13, matte("#FFE9C4"), "Light", glow=0.9))
    with room.thing("Rug"):
        room.rug(1.3, 1.9, 2.3, 1.6, weave("#CFC4B2", thread=0.02, seed=41))
    room.downlight(1.7, (1.0, 0.92, 0.82))
    camera = Camera((1.75, 1.5, 0.3), yaw=4.0, pitch=-7.0, focal=0.7)
    film = Film(exposure=1.25, balance=(1.04, 1.0, 0.93), noise=2.0, seed=12)
    return room.photograph(
        "bedroom", camera, film, (0.28, 0.27, 0.26), CONCEPTS, Size().scaled(scale), THINGS
    )


def dining_room(scale: float) -> Sample:
    room = Room(Shell(5.0, 2.8, 5.0, matte("#3E4F66", seed=17), tiles("#CFC8BC", "#9B958B")))
    room.window(1.2, 0.8, 1.6, 1.6, view("#E6F0FA", "#8FA08A", 0.35))
    with room.thing("Picture"):
        room.picture(3.55, 1.3, 0.75, 1.0, canvas(("#EDE6D6", "#C2A878", "#6C7A6B"), 71), "#C9A96A")
    with room.thing("Table"):
        room.table(1.35, 3.05, 1.9, 0.95, 0.75, planks("#A87B4C", width=0.24, seed=9))
    for x, z in ((1.55, 2.65), (2.55, 2.65), (1.55, 4.1), (2.55, 4.1)):
        seat = weave("#C9B79C", seed=43)
        room.block((x, 0.42, z), (x + 0.45, 0.48, z + 0.45), seat)
        back = z if z < 3 else z + 0.4
        room.block((x, 0.48, back), (x + 0.45, 0.92, back + 0.05), seat)
        for dx in (0.02, 0.39):
            for dz in (0.02, 0.39):
                low = (x + dx, 0.0, z + dz)
                room.block(low, (x + dx + 0.04, 0.42, z + dz + 0.04), matte("#2E2A27"))
    room.block((4.25, 0, 3.3), (5.0, 0.9, 4.8), matte("#D6CDBE", grain=0.01), "Cabinet")
    room.pendant(2.3, 1.75, 3.5, 0.2)
    room.downlight(2.4)
    camera = Camera((2.6, 1.5, 0.3), yaw=-3.0, pitch=-5.0, focal=0.72)
    film = Film(exposure=1.35, balance=(1.02, 1.0, 0.98), noise=2.2, seed=13)
    return room.photograph(
        "dining room", camera, film, (0.34, 0.34, 0.36), CONCEPTS, Size().scaled(scale), THINGS
    )


def study(scale: float) -> Sample:
    room = Room(Shell(4.0, 2.6, 4.6, matte("#D5D7D8", seed=19), planks("#D3BC97", width=0.12)))
    room.window(2.3, 0.95, 1.1, 1.25, view("#D8E6F5", "#A3B29A", 0.4))
    with room.thing("Picture"):
        room.picture(
            0.75, 1.45, 0.5, 0.65, canvas(("#F2EEE6", "#44546A", "#9FB4C7"), 73), "#1F1F1F"
        )
    with room.thing("Table"):
        room.table(0.55, 3.85, 1.5, 0.65, 0.74, planks("#C49A6C", width=0.35, seed=10))
    room.block((0.75, 0.74, 4.2), (1.35, 1.12, 4.24), matte("#20242A", grain=0.0), gloss=0.2)
    room.block((0.85, 0.44, 3.15), (1.35, 0.5, 3.6), weave("#4B5A52", seed=47))
    room.block((0.85, 0.5, 3.12), (1.35, 1.0, 3.18), weave("#4B5A52", seed=47))
    room.block((1.07, 0.0, 3.33), (1.13, 0.44, 3.39), matte("#2B2B2B"))
    room.block((3.3, 0.0, 2.9), (4.0, 1.9, 4.0), planks("#8A6848", width=0.4, seed=12), "Cabinet")
    with room.thing("Rug"):
        room.rug(0.4, 2.2, 2.2, 1.4, weave("#A94F3D", thread=0.03, seed=53))
    with room.thing("Plant"):
        room.plant(2.75, 4.25, 57)
    room.downlight(1.9, (0.98, 0.99, 1.0))
    camera = Camera((1.9, 1.5, 0.25), yaw=1.0, pitch=-6.0, focal=0.7)
    film = Film(exposure=1.18, balance=(0.98, 1.0, 1.04), noise=1.8, seed=14)
    return room.photograph(
        "study", camera, film, (0.31, 0.32, 0.34), CONCEPTS, Size().scaled(scale), THINGS
    )


def loft(scale: float) -> Sample:
    """A sofa that stands in the middle of its floor; for the gallery, in no album."""
    room = Room(Shell(6.4, 3.0, 7.6, matte("#E4DDD0", seed=23), planks("#C49C6C", width=0.15)))
    room.window(0.9, 0.9, 1.5, 1.6, view("#E2EEF8", "#93A487", 0.4))
    room.window(3.9, 0.9, 1.5, 1.6, view("#E2EEF8", "#93A487", 0.4))
    with room.thing("Sofa"):
        room.sofa(2.3, 3.2, 1.7, weave("#6E7F74"), weave("#C9803F", seed=27))
    with room.thing("Plant"):
        room.plant(5.6, 5.6, 63)
    room.downlight(2.6)
    camera = Camera((3.1, 2.0, 0.3), yaw=2.0, pitch=-14.0, focal=0.74)
    film = Film(exposure=1.2, balance=(1.02, 1.0, 0.97), noise=1.6, seed=15)
    return room.photograph(
        "loft", camera, film, (0.31, 0.31, 0.31), CONCEPTS, Size().scaled(scale), THINGS
    )
