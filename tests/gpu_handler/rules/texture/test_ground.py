"""Floors, ceilings and table tops: perspective and size."""

import numpy as np
import pytest

from gpu_handler.rules.texture.camera import Camera
from gpu_handler.rules.texture.grain import own_turn
from gpu_handler.rules.texture.ground import Drop, level_planes
from gpu_handler.rules.texture.outline import Outline
from gpu_handler.rules.texture.plan import Geometry
from gpu_handler.rules.texture.segments import Segments
from tests.gpu_handler.rules.texture.pictured import (
    CAMERAS,
    ROOMS,
    SHELLS,
    on,
    open_canvas,
    plan,
    planned,
    rooms,
    see,
)


@pytest.mark.parametrize("room", ROOMS)
def test_floor_is_laid_in_metres(room: str) -> None:
    """A square metre of the true floor is one of the texture, planks along the room's depth."""
    x, _, z = CAMERAS[room].eye
    corners = [(x, 0, z + 2), (x + 1, 0, z + 2), (x, 0, z + 3), (x + 1, 0, z + 3)]
    result = planned(room, "Floor")
    assert result.report.geometry is Geometry.VANISHING_LINES
    metres = on(result.brush.planes[0], see(room, corners))
    across, along = metres[1] - metres[0], metres[2] - metres[0]
    assert np.hypot(*across) == pytest.approx(1, rel=0.15)
    assert np.hypot(*along) == pytest.approx(1, rel=0.15)
    assert along[0] == pytest.approx(np.hypot(*along), rel=0.01)
    assert across[1] == pytest.approx(np.hypot(*across), rel=0.01)
    assert metres[3] - metres[2] == pytest.approx(across, abs=0.05)


@pytest.mark.parametrize("room", ROOMS)
def test_joints_of_the_floor_meet_in_the_vanishing_point(room: str) -> None:
    result = planned(room, "Floor")
    point = np.array(result.report.vanishing_point)
    back = np.linalg.inv(result.brush.planes[0].texels)
    for v in (-50.0, 0.0, 120.0):
        far = back @ (1e9, v, 1)
        assert far[:2] / far[2] == pytest.approx(point, abs=0.5)


@pytest.mark.parametrize("room", ROOMS)
def test_ceiling_is_laid_in_metres(room: str) -> None:
    (x, _, z), height = CAMERAS[room].eye, SHELLS[room][1]
    metres = on(
        planned(room, "Ceiling").brush.planes[0],
        see(room, [(x, height, z + 2), (x + 1, height, z + 2), (x, height, z + 3)]),
    )
    for side in (metres[1] - metres[0], metres[2] - metres[0]):
        assert 1 / 1.5 < np.hypot(*side) < 1.5


def test_nothing_is_laid_beyond_the_horizon() -> None:
    camera = Camera((300, 400), pitch=-0.2)
    plane, beyond = level_planes(camera, Drop(1.45), 640.0)
    horizon = camera.horizon(200)
    ((a, b, c),) = plane.limits
    reach = [a * 200 + b * y + c for y in (horizon - 1, horizon + 1, horizon + 20)]
    assert reach[0] < 0
    assert reach[1] < 0 < reach[2]
    assert not beyond.limits
    # There a pixel is wider than any tile: it takes the tile's mean colour.
    assert beyond.texels[0, 0] > 4096


@pytest.mark.parametrize("below", [1.45, -1.05])
def test_tile_is_not_mirrored(below: float) -> None:
    """u turned a quarter clockwise is v, as one looks at the surface."""
    camera = Camera((300, 400))
    plane = level_planes(camera, Drop(below), 100.0)[0]
    back = np.linalg.inv(plane.texels)
    start, end, side = (back @ (u, v, 1) for u, v in ((400, 10), (450, 10), (400, 60)))
    (x0, y0), (x1, y1), (x2, y2) = (p[:2] / p[2] for p in (start, end, side))
    assert (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0) > 0


def test_worktop_has_the_tile_along_its_longer_side() -> None:
    sample = rooms()["dining room"]
    mask = np.zeros(sample.pixels.shape[:2], np.uint8)
    mask[250:262, 120:380] = 255
    result = plan(sample.pixels, mask, "Countertop")
    metres = on(result.brush.planes[0], np.array([(200.0, 256.0), (300.0, 256.0)]))
    u, v = metres[1] - metres[0]
    assert u > 0
    assert abs(u) > 5 * abs(v)


def test_floor_of_a_photo_without_lines() -> None:
    """The documented assumption: the horizon 15 % of the height above the mask."""
    photo = np.full((400, 600, 3), 120, np.uint8)
    mask = np.zeros((400, 600), np.uint8)
    mask[220:] = 255
    result = plan(photo, mask, "Floor")
    assert result.report.geometry is Geometry.ASSUMED
    assert result.report.vanishing_point == pytest.approx((299.5, 160), abs=1)
    assert result.report.support == 0
    metres = on(result.brush.planes[0], np.array([(300.0, 399.0), (300.0, 230.0)]))
    assert 1 < metres[1, 0] - metres[0, 0] < 20


def test_horizon_that_the_floor_contradicts_is_not_believed() -> None:
    photo = rooms()["study"].pixels
    result = plan(photo, np.full(photo.shape[:2], 255, np.uint8), "Floor")
    assert result.report.geometry is Geometry.ASSUMED


def test_tiles_lie_or_stand_by_where_they_are() -> None:
    sample = rooms()["dining room"]
    floor = plan(sample.pixels, sample.masks["Floor"], "Tile")
    wall = plan(sample.pixels, sample.masks["Wall"], "Tile")
    assert np.array_equal(
        floor.brush.planes[0].texels, planned("dining room", "Floor").brush.planes[0].texels
    )
    assert wall.report.planes == 3
    assert open_canvas(sample.pixels).shape == sample.pixels.shape[:2]


@pytest.mark.parametrize("turn", [0.0, 0.6, 2.2])
def test_planks_run_as_those_that_are_there(turn: float) -> None:
    """Along the room, unless the old ones run askew to it."""
    camera = Camera((400, 600), pitch=-0.35)
    mask = np.full((400, 600), 255, np.uint8)
    found = own_turn(_planks(camera, turn), Outline.of(mask, camera.shape), camera)
    assert found == pytest.approx(turn, abs=0.01)


def test_lines_all_over_the_place_turn_nothing() -> None:
    camera = Camera((400, 600), pitch=-0.35)
    parts = [_planks(camera, turn) for turn in (0.3, 0.6, 0.9, 1.2, 1.9, 2.3)]
    segments = Segments(
        np.concatenate([p.starts for p in parts]), np.concatenate([p.ends for p in parts])
    )
    mask = Outline.of(np.full((400, 600), 255, np.uint8), camera.shape)
    assert own_turn(segments, mask, camera) == 0


def _planks(camera: Camera, turn: float) -> Segments:
    """Edges of planks as the camera sees them, `turn` from the depth to the right."""
    along, across = np.array((np.sin(turn), np.cos(turn))), np.array((np.cos(turn), -np.sin(turn)))
    ends: list[list[float]] = []
    to_pixels = np.linalg.inv(camera.rays())
    for step in np.linspace(-1, 1, 9):
        middle = np.array((0.0, 3.5)) + step * across
        both = (middle - 0.7 * along, middle + 0.7 * along)
        x, y, w = to_pixels @ np.array([(right, 1.45, depth) for right, depth in both]).T
        ends.append([x[0] / w[0], y[0] / w[0], x[1] / w[1], y[1] / w[1]])
    lines = (np.array(ends) - np.tile(camera.centre, 2)) / max(camera.shape)
    return Segments(lines[:, :2], lines[:, 2:])
