"""Drawn rooms and products with known masks, made with cv2 alone."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Masks = dict[str, NDArray[np.bool_]]
Color = tuple[int, ...]


class Canvas:
    """A picture in 0..1 coordinates; what is drawn later hides what was drawn before."""

    def __init__(self, width: int, height: int) -> None:
        self.size = np.array([width, height])
        self.image: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
        self.owner = np.zeros((height, width), np.uint8)
        self.names = ["nothing"]
        across, down = np.linspace(0, 1, width), np.linspace(0, 1, height)
        self.x, self.y = np.meshgrid(across.astype(np.float32), down.astype(np.float32))

    def polygon(
        self, name: str, color: Color, points: list[tuple[float, float]], slope: float = 0.0
    ) -> None:
        corners = np.rint(np.array(points) * self.size * 16).astype(np.int32)
        cover = np.zeros(self.owner.shape, np.uint8)
        cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, 4)
        self.put(name, color, cover, slope)

    def put(self, name: str, color: Color, cover: Pixels, slope: float = 0.0) -> None:
        shade = 1 + slope * (self.x - 0.5)
        alpha = (cover.astype(np.float32) / 255)[..., None]
        paint = np.array(color, np.float32) * shade[..., None]
        self.image = (self.image * (1 - alpha) + paint * alpha).astype(np.float32)
        if name not in self.names:
            self.names.append(name)
        self.owner[cover > 127] = self.names.index(name)

    def box(self, name: str, color: Color, x0: float, y0: float, x1: float, y1: float) -> None:
        self.polygon(name, color, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    def developed(self, seed: int, grain: float = 3.0) -> tuple[Pixels, Masks]:
        noise = np.random.default_rng(seed).normal(0, grain, self.image.shape)
        soft = cv2.GaussianBlur(self.image, (0, 0), 0.7)
        masks = {name: self.owner == i for i, name in enumerate(self.names) if i}
        return np.clip(soft + noise, 0, 255).astype(np.uint8), masks


def room(
    wall: Color, floor: Color, *, seed: int = 1, width: int = 900, height: int = 640
) -> tuple[Pixels, Masks]:
    """A furnished room in one-point perspective: boards, skirting, window, door, sofa, picture."""
    c = Canvas(width, height)
    side, far = tuple(int(v * 0.82) for v in wall), tuple(int(v * 0.97) for v in wall)
    c.polygon("Ceiling", (236, 234, 228), [(0, 0), (1, 0), (0.78, 0.16), (0.2, 0.16)], 0.05)
    c.polygon("Wall", side, [(0, 0), (0.2, 0.16), (0.2, 0.7), (0, 1)], 0.1)
    c.polygon("Wall", far, [(0.2, 0.16), (0.78, 0.16), (0.78, 0.7), (0.2, 0.7)], -0.12)
    c.polygon("Wall", side, [(1, 0), (0.78, 0.16), (0.78, 0.7), (1, 1)], -0.15)
    c.polygon("Floor", floor, [(0, 1), (0.2, 0.7), (0.78, 0.7), (1, 1)], 0.08)
    _boards(c, floor)
    trim = (243, 242, 238)
    c.box("Frame_Molding", trim, 0.2, 0.675, 0.78, 0.7)
    c.polygon("Frame_Molding", trim, [(0.2, 0.675), (0.2, 0.7), (0, 1), (0, 0.96)])
    c.polygon("Frame_Molding", trim, [(0.78, 0.675), (0.78, 0.7), (1, 1), (1, 0.96)])
    c.box("Window", (250, 250, 250), 0.3, 0.24, 0.48, 0.48)
    c.box("Window", (214, 232, 250), 0.312, 0.257, 0.384, 0.463)
    c.box("Window", (214, 232, 250), 0.396, 0.257, 0.468, 0.463)
    c.box("Frame_Molding", trim, 0.635, 0.29, 0.765, 0.7)
    c.box("Door", (150, 112, 80), 0.65, 0.312, 0.75, 0.7)
    c.polygon("picture", (60, 50, 40), [(0.06, 0.22), (0.14, 0.26), (0.14, 0.46), (0.06, 0.46)])
    c.polygon("picture", (180, 120, 70), [(0.07, 0.25), (0.13, 0.28), (0.13, 0.44), (0.07, 0.44)])
    c.box("sofa", (92, 110, 128), 0.24, 0.56, 0.56, 0.82)
    c.box("sofa", (74, 90, 106), 0.22, 0.68, 0.58, 0.84)
    c.box("cushion", (196, 150, 60), 0.28, 0.6, 0.36, 0.7)
    return c.developed(seed)


def _boards(c: Canvas, floor: Color) -> None:
    dark = tuple(int(v * 0.8) for v in floor)
    lines = np.zeros(c.owner.shape, np.uint8)
    for x in np.linspace(-0.6, 1.6, 23):
        start = (np.array([0.49 + (x - 0.5) * 0.58, 0.7]) * c.size).astype(int).tolist()
        end = (np.array([x, 1.0]) * c.size).astype(int).tolist()
        cv2.line(lines, start, end, 160, 1, cv2.LINE_AA)
    lines[c.owner != c.names.index("Floor")] = 0
    alpha = (lines.astype(np.float32) / 255)[..., None]
    mixed = c.image * (1 - alpha) + np.array(dark, np.float32) * alpha
    c.image = mixed.astype(np.float32)


def bottle(
    body: Color, backdrop: Color, *, seed: int = 1, width: int = 600, height: int = 800
) -> tuple[Pixels, Masks]:
    """A bottle with a label and a mark, on a table before a wall, with a contact shadow."""
    c = Canvas(width, height)
    table = tuple(int(v * 0.88) for v in backdrop)
    c.box("wall", backdrop, 0, 0, 1, 0.68)
    c.box("table", table, 0, 0.68, 1, 1)
    c.image = np.asarray(cv2.GaussianBlur(c.image, (0, 0), 5), np.float32)
    shadow = np.zeros(c.owner.shape, np.uint8)
    cv2.ellipse(
        shadow,
        (int(0.56 * width), int(0.86 * height)),
        (int(0.26 * width), int(0.04 * height)),
        0,
        0,
        360,
        130,
        -1,
    )
    soft = cv2.GaussianBlur(shadow, (0, 0), 9).astype(np.float32)[..., None] / 255
    c.image *= 1 - 0.6 * soft
    outline = [
        (0.3, 0.4),
        (0.44, 0.3),
        (0.44, 0.2),
        (0.56, 0.2),
        (0.56, 0.3),
        (0.7, 0.4),
        (0.7, 0.87),
        (0.3, 0.87),
    ]
    c.polygon("Body", body, outline, -0.5)
    c.box("Label_Text", (246, 244, 236), 0.36, 0.52, 0.64, 0.74)
    for row in range(5):
        y = 0.56 + row * 0.035
        for column in range(7):
            x = 0.39 + column * 0.032
            c.box("Label_Text", (40, 40, 44), x, y, x + 0.02, y + 0.014)
    spot = np.zeros(c.owner.shape, np.uint8)
    cv2.circle(
        spot, (int(0.5 * width), int(0.46 * height)), int(0.035 * width), 255, -1, cv2.LINE_AA
    )
    c.put("Logo", (250, 214, 90), spot)
    return c.developed(seed)
