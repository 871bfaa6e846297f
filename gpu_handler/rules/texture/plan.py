"""Texture: a seamless tile on a surface, in its perspective, at its size, in its light."""

import math
from enum import StrEnum

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from gpu_handler.backends.base import Canvas, Cover, Plane, TextureBrush
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels
from gpu_handler.rules.texture.builds import BUILDS
from gpu_handler.rules.texture.camera import Camera
from gpu_handler.rules.texture.corners import Walls, find_walls
from gpu_handler.rules.texture.daylight import anchor_of, light_colour, strength
from gpu_handler.rules.texture.facing import facing_plane
from gpu_handler.rules.texture.grain import own_turn
from gpu_handler.rules.texture.ground import above_horizon, drop_of, level_planes
from gpu_handler.rules.texture.outline import Outline
from gpu_handler.rules.texture.segments import NONE, Segments, find_segments
from gpu_handler.rules.texture.shade import Grain, shade
from gpu_handler.rules.texture.surfaces import JOINERY, LEVEL, RELIEF, Lie, lie_of, tiles_lie
from gpu_handler.rules.texture.upright import upright_planes
from gpu_handler.rules.texture.viewpoint import Sighting, find_camera

_WORK = 1008
_TRUSTED = 0.3  # share of level lines from which a camera is believed; of clutter it is about 0.15
_LOST = 0.08  # share of a level mask beyond the horizon from which the horizon is not believed
_SHOULDER = 205.0  # encoded; no tile in a room is as bright as paper on a screen


class Geometry(StrEnum):
    VANISHING_LINES = "vanishing_lines"  # from the photo's own lines
    ASSUMED = "assumed"  # level surfaces in a photo without such lines
    FACING = "facing"  # seen from the front


class TextureReport(Struct, frozen=True):
    """How a texture was laid.

    `vanishing_point`: where the planks of a floor or the courses of side walls run to, (x, y) in
    pixels of the photo, for surfaces in perspective. `support`: the share 0..1 of the photo's level
    lines that the camera explains. `planes`: flat pieces.
    """

    geometry: Geometry
    vanishing_point: tuple[float, float] | None = None
    support: float = 0.0
    planes: int = 1


def plan_texture(
    canvas: Canvas, cover: Cover, concept: str, tile_levels: tuple[Pixels, ...], metres: float
) -> tuple[TextureBrush, TextureReport]:
    """How the tile, `metres` wide, is laid on what `cover` shows of `concept`.

    Floors lie 1.45 m below the camera, ceilings are 2.5 m above the floor, tables 0.9 m; walls
    stand between the two, things are 0.3 m long. Raises ValueError for a tile without a size.
    """
    if not tile_levels or not 0 < metres < float("inf"):
        raise ValueError(f"a tile needs levels and a width in metres, not {metres!r}")
    picture, small = canvas.small(_WORK), canvas.small_cover(cover, _WORK)
    mask = Outline.of(small, canvas.shape)
    if not mask.inside.any():
        planes, even = (Plane(np.eye(3)),), np.ones((1, 1, 3), np.float32)
        return TextureBrush(tile_levels, planes, even), TextureReport(Geometry.FACING)
    lie = lie_of(concept)
    segments = NONE if lie is Lie.BODY else find_segments(picture)
    seen = _look(segments, canvas.shape)
    lie = lie or tiles_lie(mask, seen.camera)
    planes, report = _lay(seen, segments, mask, lie, tile_levels[0].shape[0] / metres)
    light = _light(picture, small, lie, tile_levels[-1])
    return TextureBrush(tile_levels, planes, light, _SHOULDER), report


def _look(segments: Segments, shape: tuple[int, int]) -> Sighting:
    """The camera by the photo's lines; the usual one where they cannot be believed."""
    seen = find_camera(segments, shape)
    return seen if seen.support >= _TRUSTED else Sighting(Camera(shape), seen.support)


def _lay(
    seen: Sighting, segments: Segments, mask: Outline, lie: Lie, texels: float
) -> tuple[tuple[Plane, ...], TextureReport]:
    if lie in LEVEL:
        return _lay_level(mask, seen, segments, lie, texels)
    walls = _walls(mask, seen, lie)
    if walls is None:
        report = TextureReport(Geometry.FACING, None, round(seen.support, 3))
        return (facing_plane(mask, lie, texels),), report
    planes = upright_planes(seen.camera, walls, texels, standing=lie in JOINERY)
    return planes, _report(Geometry.VANISHING_LINES, seen.camera, seen.support, 0, len(planes) - 1)


def _walls(mask: Outline, seen: Sighting, lie: Lie) -> Walls | None:
    if seen.support < _TRUSTED or lie not in BUILDS:
        return None
    return find_walls(mask, seen.camera, BUILDS[lie])


def _lay_level(
    mask: Outline, seen: Sighting, segments: Segments, lie: Lie, texels: float
) -> tuple[tuple[Plane, ...], TextureReport]:
    camera, geometry = seen.camera, Geometry.VANISHING_LINES
    drop = drop_of(lie, mask, camera)
    if seen.support < _TRUSTED or above_horizon(mask, camera, drop) > _LOST:
        camera, geometry = _assumed(mask, lie, camera.shape), Geometry.ASSUMED
        drop = drop_of(lie, mask, camera)
    elif lie is Lie.FLOOR:
        drop = replace(drop, turn=own_turn(segments, mask, camera))
    report = _report(geometry, camera, seen.support, drop.turn)
    return level_planes(camera, drop, texels), report


def _report(
    geometry: Geometry, camera: Camera, support: float, turn: float, planes: int = 1
) -> TextureReport:
    """`turn`: how far from the room's depth the tile runs."""
    point = camera.vanishing_point((math.sin(turn), 0, math.cos(turn)))
    place = None if point is None else (round(point[0], 2), round(point[1], 2))
    return TextureReport(geometry, place, round(support, 3), planes)


def _assumed(mask: Outline, lie: Lie, shape: tuple[int, int]) -> Camera:
    """A level horizon 15 % of the height beyond the mask, and the depth in the middle."""
    _, y0, _, y1 = mask.box()
    level = Camera(shape)
    horizon = y1 + 0.15 * shape[0] if lie is Lie.CEILING else y0 - 0.15 * shape[0]
    pitch = float(np.arctan2(horizon - level.centre[1], level.pixels))
    return replace(level, pitch=float(np.clip(pitch, -1.2, 1.2)))


def _light(picture: Pixels, cover: Alpha, lie: Lie, tile: Pixels) -> Floats:
    """(h, w, 3): the surface's own shade in the room's light, for a tile of that colour."""
    mean = np.asarray(tile, np.float64).reshape(-1, 3).mean(0)
    lit = shade(picture, cover, Grain.NOISE if lie in RELIEF else Grain.JOINTS, anchor_of(mean))
    colour = light_colour(picture) * strength(picture, mean, lit.reference)
    return (lit.factors[..., None] * colour).astype(np.float32)
