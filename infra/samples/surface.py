"""What is seen: shapes made of rectangles and spheres, and the buffers they are drawn into."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from infra.samples.camera import Camera, Floats, Vectors

Paint = Callable[[Floats, Floats], Vectors]
"""(N,) u and v in metres on the surface -> (N, 3) linear albedo in 0..1."""

FAR = 1e6


class Rectangle(Struct, frozen=True, eq=False):
    """A flat piece: `corner` + u·`across` + v·`along`, seen from the side of its normal.

    `concept` names the ground-truth mask it belongs to; "" for none. `lift` brings a piece that
    lies on another one in front of it; `texel` is how far apart, in metres, its light is computed.
    """

    corner: tuple[float, float, float]
    across: tuple[float, float, float]
    along: tuple[float, float, float]
    paint: Paint
    concept: str = ""
    glow: float = 0.0
    lift: float = 0.0
    round: bool = False
    gloss: float = 0.0
    texel: float = 0.09

    @property
    def normal(self) -> Vectors:
        cross = np.cross(self.along, self.across)
        return (cross / np.linalg.norm(cross)).astype(np.float32)

    def corners(self) -> Vectors:
        start, u, v = (np.asarray(p, np.float32) for p in (self.corner, self.across, self.along))
        return np.stack([start, start + u, start + v, start + u + v])


class Sphere(Struct, frozen=True, eq=False):
    center: tuple[float, float, float]
    radius: float
    paint: Paint
    concept: str = ""
    glow: float = 0.0
    gloss: float = 0.0

    def corners(self) -> Vectors:
        offsets = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T * self.radius * 1.2
        return (np.asarray(self.center) + offsets).astype(np.float32)


class Turned(Struct, frozen=True, eq=False):
    """A frustum about the upright axis at `center` (x, z); radii at `low` and `high` metres.

    `turn` and `span` in radians cut a patch out of its side: a label.
    """

    center: tuple[float, float]
    low: float
    high: float
    radius_low: float
    radius_high: float
    paint: Paint
    concept: str = ""
    glow: float = 0.0
    gloss: float = 0.0
    turn: float = 0.0
    span: float = 4.0

    def corners(self) -> Vectors:
        reach = max(self.radius_low, self.radius_high)
        x, z = self.center
        return np.array(
            [
                [x + dx * reach, y, z + dz * reach]
                for dx in (-1, 1)
                for y in (self.low, self.high)
                for dz in (-1, 1)
            ],
            np.float32,
        )


Shape = Rectangle | Sphere | Turned


class Drawing:
    """Buffers of one picture: depth along the ray, which shape, its colour, normal and point."""

    def __init__(self, camera: Camera, width: int, height: int) -> None:
        self.camera, self.width, self.height = camera, width, height
        self.rays = camera.rays(width, height)
        self.eye = np.asarray(camera.eye, np.float32)
        self.depth = np.full((height, width), FAR, np.float32)
        self.shape = np.full((height, width), -1, np.int16)
        self.albedo = np.zeros((height, width, 3), np.float32)
        self.normal = np.zeros((height, width, 3), np.float32)
        self.glow = np.zeros((height, width), np.float32)

    def draw(self, shapes: Sequence[Shape]) -> None:
        for number, shape in enumerate(shapes):
            window = self._window(shape)
            if window is not None:
                self._draw(shape, number, *window)

    def points(self) -> Vectors:
        """(H, W, 3) what each pixel shows, in metres."""
        return self.eye + self.rays * np.minimum(self.depth, 100.0)[..., None]

    def pixels(self, shapes: int) -> list[NDArray[np.intp]]:
        """For each of so many shapes the flat indices of the pixels that show it."""
        flat = self.shape.ravel()
        order = np.argsort(flat, kind="stable")
        starts = np.searchsorted(flat[order], np.arange(shapes + 1))
        return [order[a:b] for a, b in itertools.pairwise(starts)]

    def _window(self, shape: Shape) -> tuple[slice, slice] | None:
        corners = shape.corners()
        forward = self.camera.axes()[2]
        if ((corners - self.eye) @ forward < 0.1).any():
            return slice(0, self.height), slice(0, self.width)
        pixels = self.camera.project(corners, self.width, self.height)
        (x0, y0), (x1, y1) = pixels.min(0) - 2, pixels.max(0) + 2
        rows = slice(int(max(0, y0)), int(min(self.height, max(0, y1)) + 1))
        columns = slice(int(max(0, x0)), int(min(self.width, max(0, x1)) + 1))
        empty = rows.start >= self.height or columns.start >= self.width or x1 < 0 or y1 < 0
        return None if empty else (rows, columns)

    def _draw(self, shape: Shape, number: int, rows: slice, columns: slice) -> None:
        rays, depth = self.rays[rows, columns], self.depth[rows, columns]
        lift = shape.lift if isinstance(shape, Rectangle) else 0.0
        distance, hit, u, v, normal = _hit(shape, self.eye, rays)
        hit &= distance - lift < depth
        if not hit.any():
            return
        depth[hit] = distance[hit] - lift
        self.shape[rows, columns][hit] = number
        self.albedo[rows, columns][hit] = shape.paint(u[hit], v[hit])
        self.normal[rows, columns][hit] = normal if normal.ndim == 1 else normal[hit]
        self.glow[rows, columns][hit] = shape.glow


Hit = tuple[Floats, NDArray[np.bool_], Floats, Floats, Vectors]


def _hit(shape: Shape, eye: Vectors, rays: Vectors) -> Hit:
    if isinstance(shape, Sphere):
        return _hit_sphere(shape, eye, rays)
    if isinstance(shape, Turned):
        return _hit_turned(shape, eye, rays)
    return _hit_rectangle(shape, eye, rays)


def _hit_rectangle(shape: Rectangle, eye: Vectors, rays: Vectors) -> Hit:
    normal = shape.normal
    facing = rays @ normal
    corner = np.asarray(shape.corner, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.float32((corner - eye) @ normal) / facing
    distance = np.nan_to_num(distance, nan=FAR, posinf=FAR, neginf=-FAR)
    across, along = np.asarray(shape.across, np.float32), np.asarray(shape.along, np.float32)
    width, length = np.linalg.norm(across), np.linalg.norm(along)
    start = eye - corner
    u = start @ (across / width) + distance * (rays @ (across / width))
    v = start @ (along / length) + distance * (rays @ (along / length))
    inside = (u >= 0) & (u <= width) & (v >= 0) & (v <= length)
    if shape.round:
        inside &= (u / width - 0.5) ** 2 + (v / length - 0.5) ** 2 <= 0.25
    return distance, inside & (distance > 0.05) & (facing < 0), u, v, normal


def _hit_sphere(shape: Sphere, eye: Vectors, rays: Vectors) -> Hit:
    start = eye - np.asarray(shape.center, np.float32)
    a = (rays * rays).sum(-1)
    b = rays @ start
    root = b * b - a * np.float32(start @ start - shape.radius**2)
    hit = root > 0
    distance = np.where(hit, (-b - np.sqrt(np.maximum(root, 0))) / a, FAR).astype(np.float32)
    normal = (start + rays * distance[..., None]) / np.float32(shape.radius)
    u = np.arctan2(normal[..., 0], normal[..., 2]).astype(np.float32) * shape.radius
    v = np.arcsin(np.clip(normal[..., 1], -1, 1)).astype(np.float32) * shape.radius
    return distance, hit & (distance > 0.05), u, v, normal


def _hit_turned(shape: Turned, eye: Vectors, rays: Vectors) -> Hit:
    slope = np.float32((shape.radius_high - shape.radius_low) / (shape.high - shape.low))
    x, z = eye[0] - shape.center[0], eye[2] - shape.center[1]
    reach = shape.radius_low + slope * (eye[1] - shape.low)
    dx, dy, dz = rays[..., 0], rays[..., 1], rays[..., 2]
    a = dx * dx + dz * dz - (slope * dy) ** 2
    b = x * dx + z * dz - slope * dy * reach
    root = b * b - a * np.float32(x * x + z * z - reach * reach)
    hit = (root > 0) & (np.abs(a) > 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(hit, (-b - np.sqrt(np.maximum(root, 0))) / a, FAR).astype(np.float32)
    px, py, pz = x + distance * dx, eye[1] + distance * dy, z + distance * dz
    radius = np.maximum(np.hypot(px, pz), 1e-6)
    normal = np.stack([px / radius, np.full_like(px, -slope), pz / radius], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    angle = np.arctan2(px, -pz) - np.float32(shape.turn)
    hit &= (py >= shape.low) & (py <= shape.high) & (distance > 0.05)
    hit &= np.abs(angle) <= shape.span
    middle = (shape.radius_low + shape.radius_high) / 2
    u = (angle * middle).astype(np.float32)
    return distance, hit, u, (py - shape.low).astype(np.float32), normal.astype(np.float32)
