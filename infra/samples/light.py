"""Light: a window's area light with soft shadows, lamps, and darkness gathering in corners."""

from collections.abc import Sequence

import cv2
import numpy as np
from msgspec import Struct

from infra.samples.camera import Floats, Vectors
from infra.samples.lookup import read
from infra.samples.surface import Drawing, Rectangle, Shape

FEWEST, MOST = 6, 130
"""Points along an edge of a surface where its light is computed: it changes slowly."""

SAMPLES = 4
REACH = 0.9
"""Metres within which things darken each other's surroundings."""

DIRECTIONS = 40


class Box(Struct, frozen=True):
    """What throws shadows: an upright box between two corners, metres."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


class Light(Struct, frozen=True, eq=False):
    """A glowing parallelogram; `power` scales its linear colour."""

    corner: tuple[float, float, float]
    across: tuple[float, float, float]
    along: tuple[float, float, float]
    color: tuple[float, float, float]
    power: float

    def spots(self) -> Vectors:
        steps = (np.arange(SAMPLES, dtype=np.float32) + 0.5) / SAMPLES
        u, v = np.meshgrid(steps, steps)
        across, along = np.asarray(self.across, np.float32), np.asarray(self.along, np.float32)
        places = u.reshape(-1, 1) * across + v.reshape(-1, 1) * along
        return places + np.asarray(self.corner, np.float32)


def shade(
    drawing: Drawing,
    shapes: Sequence[Shape],
    lights: Sequence[Light],
    boxes: Sequence[Box],
    ambient: tuple[float, float, float],
) -> Vectors:
    """(H, W, 3) linear light reaching the camera."""
    irradiance = np.broadcast_to(np.asarray(ambient, np.float32), drawing.albedo.shape).copy()
    flat, normals = irradiance.reshape(-1, 3), drawing.normal.reshape(-1, 3)
    points = drawing.points().reshape(-1, 3)
    for shape, seen in zip(shapes, drawing.pixels(len(shapes)), strict=True):
        if not len(seen):
            continue
        if isinstance(shape, Rectangle):
            flat[seen] = _flat(shape, points[seen], lights, boxes, np.asarray(ambient, np.float32))
        else:
            light = flat[seen] + _direct(points[seen], normals[seen], lights, ())
            flat[seen] = light * (0.72 + 0.28 * normals[seen, 1:2])
    glow = drawing.glow[..., None]
    return drawing.albedo * (irradiance * (1 - np.minimum(glow, 1)) + glow)


def highlights(drawing: Drawing, shapes: Sequence[Shape], lights: Sequence[Light]) -> Floats:
    """(H, W) mirrored light of the glossy shapes, before tone mapping (Blinn's model)."""
    mirrored = np.zeros(drawing.depth.size, np.float32)
    points, normals = drawing.points().reshape(-1, 3), drawing.normal.reshape(-1, 3)
    for shape, seen in zip(shapes, drawing.pixels(len(shapes)), strict=True):
        if not shape.gloss or not len(seen):
            continue
        place, normal = points[seen], normals[seen]
        to_eye = drawing.eye - place
        to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
        strength = np.zeros(len(place), np.float32)
        for light in lights:
            for spot in light.spots():
                towards = spot - place
                towards /= np.linalg.norm(towards, axis=1, keepdims=True)
                half = towards + to_eye
                half /= np.linalg.norm(half, axis=1, keepdims=True)
                strength += np.maximum((half * normal).sum(1), 0) ** 160 * light.power
        mirrored[seen] = strength / SAMPLES**2 * shape.gloss * 2.5
    return mirrored.reshape(drawing.depth.shape)


def _flat(
    shape: Rectangle,
    points: Vectors,
    lights: Sequence[Light],
    boxes: Sequence[Box],
    ambient: Vectors,
) -> Vectors:
    """Light on a flat piece, computed on a coarse grid of it and read at `points`."""
    corner, across, along = (
        np.asarray(part, np.float32) for part in (shape.corner, shape.across, shape.along)
    )
    columns, rows = _texels(across, shape.texel), _texels(along, shape.texel)
    u, v = np.meshgrid(
        np.linspace(0, 1, columns, dtype=np.float32), np.linspace(0, 1, rows, dtype=np.float32)
    )
    grid = corner + u.reshape(-1, 1) * across + v.reshape(-1, 1) * along + shape.normal * 0.012
    light = _direct(grid, np.broadcast_to(shape.normal, grid.shape), lights, boxes)
    light += ambient * _openness(grid, shape.normal, boxes)
    field = cv2.GaussianBlur(light.reshape(rows, columns, 3), (0, 0), 0.8).astype(np.float32)
    local = points - corner
    x = (local @ across) / (across @ across) * (columns - 1)
    y = (local @ along) / (along @ along) * (rows - 1)
    return np.maximum(read(field, x, y, smooth=True), 0.0)


def _texels(edge: Vectors, metres: float) -> int:
    return int(np.clip(np.linalg.norm(edge) / metres, FEWEST, MOST))


def _direct(
    points: Vectors, normals: Vectors, lights: Sequence[Light], boxes: Sequence[Box]
) -> Vectors:
    total = np.zeros_like(points)
    for light in lights:
        facing = np.cross(light.across, light.along)
        facing = (facing / np.linalg.norm(facing)).astype(np.float32)
        spots = light.spots()
        between = _touching(np.concatenate([points, spots]), boxes)
        strength = np.zeros(len(points), np.float32)
        for spot in spots:
            towards = spot - points
            squared = np.einsum("ij,ij->i", towards, towards)
            unit = towards / np.sqrt(squared)[:, None]
            cosine = np.maximum(np.einsum("ij,ij->i", unit, normals), 0)
            if cosine.max() <= 0:
                continue
            emitted = np.abs(unit @ facing)
            strength += cosine * emitted / (squared + 0.35) * _clear(points, towards, between)
        color = np.asarray(light.color, np.float32) * light.power / SAMPLES**2
        total += strength[:, None] * color
    return total


def _touching(points: Vectors, boxes: Sequence[Box], margin: float = 0.0) -> Vectors:
    """(2, B, 3) corners of the boxes that reach into the space around the points."""
    low, high = points.min(0) - margin, points.max(0) + margin
    near = [
        (box.low, box.high)
        for box in boxes
        if (np.asarray(box.low) <= high).all() and (np.asarray(box.high) >= low).all()
    ]
    return np.asarray(near, np.float32).reshape(-1, 2, 3).transpose(1, 0, 2)


def _clear(points: Vectors, towards: Vectors, boxes: Vectors) -> Floats:
    """1 where nothing stands between a point and point + towards, else 0 (slab test)."""
    if boxes.shape[1] == 0:
        return np.ones(len(points), np.float32)
    shape = (len(points), boxes.shape[1])
    enter, leave = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
    for axis in range(3):  # much faster than a reduction over three numbers
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1 / towards[:, axis, None]
            one = (boxes[0, :, axis] - points[:, axis, None]) * inverse
            two = (boxes[1, :, axis] - points[:, axis, None]) * inverse
        enter, leave = np.maximum(enter, np.fmin(one, two)), np.minimum(leave, np.fmax(one, two))
    blocked = (enter < leave) & (leave > 0.01) & (enter < 1)
    return np.where(blocked.any(axis=1), 0, 1).astype(np.float32)


def _openness(points: Vectors, normal: Vectors, boxes: Sequence[Box]) -> Floats:
    """(N, 1) share of the near surroundings that is open, 0.25..1 (ambient occlusion)."""
    near = _touching(points, boxes, REACH)
    clear = np.zeros(len(points), np.float32)
    directions = _hemisphere(normal)
    for direction in directions:
        clear += _clear(points, np.broadcast_to(direction * REACH, points.shape), near)
    return (0.25 + 0.75 * clear / len(directions))[:, None]


def _hemisphere(normal: Vectors) -> Vectors:
    """(DIRECTIONS, 3) unit vectors about `normal`, denser where they count more (cosine law)."""
    index = np.arange(DIRECTIONS, dtype=np.float32) + 0.5
    radius, angle = np.sqrt(index / DIRECTIONS), index * 2.399963
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    side = np.cross(normal, [0.31, 0.73, 0.61])
    side /= np.linalg.norm(side)
    local = np.stack([x, y, np.sqrt(1 - radius**2)], axis=1)
    return (local @ np.stack([side, np.cross(normal, side), normal])).astype(np.float32)
