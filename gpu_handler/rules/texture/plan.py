"""Texture: a seamless tile on a surface, in its perspective, at its size, in its light."""

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
from gpu_handler.rules.texture.ground import above_horizon, drop_of, level_planes
from gpu_handler.rules.texture.outline import Outline
from gpu_handler.rules.texture.segments import find_segments
from gpu_handler.rules.texture.shade import Grain, shade
from gpu_handler.rules.texture.surfaces import JOINERY, LEVEL, RELIEF, Lie, lie_of
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

    `vanishing_point`: where the room's depth runs to, (x, y) in pixels of the photo, for surfaces
    in perspective. `support`: the share 0..1 of the photo's level lines that runs to it or to the
    one beside it. `planes`: flat pieces.
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
    if not tile_levels or not metres > 0:
        raise ValueError(f"a tile needs levels and a width in metres, not {metres!r}")
    picture, small = canvas.small(_WORK), canvas.small_cover(cover, _WORK)
    mask = Outline.of(small, canvas.shape)
    if not mask.inside.any():
        planes, even = (Plane(np.eye(3)),), np.ones((1, 1, 3), np.float32)
        return TextureBrush(tile_levels, planes, even), TextureReport(Geometry.FACING)
    seen = find_camera(find_segments(picture), canvas.shape)
    lie = lie_of(concept, mask, seen.camera if seen.support >= _TRUSTED else Camera(canvas.shape))
    planes, report = _lay(seen, mask, lie, tile_levels[0].shape[0] / metres)
    light = _light(picture, small, lie, tile_levels[-1])
    return TextureBrush(tile_levels, planes, light, _SHOULDER), report


def _lay(
    seen: Sighting, mask: Outline, lie: Lie, texels: float
) -> tuple[tuple[Plane, ...], TextureReport]:
    if lie in LEVEL:
        return _lay_level(mask, seen, lie, texels)
    walls = _walls(mask, seen, lie)
    if walls is None:
        report = TextureReport(Geometry.FACING, None, seen.support)
        return (facing_plane(mask, lie, texels),), report
    planes = upright_planes(seen.camera, walls, texels, standing=lie in JOINERY)
    point = seen.camera.vanishing_point((0, 0, 1))
    return planes, TextureReport(Geometry.VANISHING_LINES, point, seen.support, len(planes) - 1)


def _walls(mask: Outline, seen: Sighting, lie: Lie) -> Walls | None:
    if seen.support < _TRUSTED or lie not in BUILDS:
        return None
    return find_walls(mask, seen.camera, BUILDS[lie])


def _lay_level(
    mask: Outline, seen: Sighting, lie: Lie, texels: float
) -> tuple[tuple[Plane, ...], TextureReport]:
    camera, geometry = seen.camera, Geometry.VANISHING_LINES
    drop = drop_of(lie, mask, camera)
    if seen.support < _TRUSTED or above_horizon(mask, camera, drop) > _LOST:
        camera, geometry = _assumed(mask, lie, camera.shape), Geometry.ASSUMED
        drop = drop_of(lie, mask, camera)
    point = camera.vanishing_point((0, 0, 1))
    return level_planes(camera, drop, texels), TextureReport(geometry, point, seen.support)


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
