"""Walls, doors and cupboards: which way each piece faces, and how their courses meet."""

import numpy as np
import pytest

from gpu_handler.rules.texture.plan import Geometry
from tests.gpu_handler.rules.texture.pictured import (
    METRES,
    ROOMS,
    SHELLS,
    on,
    plan,
    plane_at,
    planned,
    rooms,
    see,
)


@pytest.mark.parametrize("room", ROOMS)
def test_corners_of_a_room(room: str) -> None:
    """Both corners within 2 % of the width: planes change there, and not elsewhere."""
    result = planned(room, "Wall")
    assert result.report.geometry is Geometry.VANISHING_LINES
    assert result.report.planes == 3
    width, height, depth = SHELLS[room]
    corners = see(room, [(0, height / 2, depth), (width, height / 2, depth)])
    reach = 0.02 * rooms()[room].pixels.shape[1]
    for corner in corners:
        sides = [plane_at(result.brush, corner + np.array((dx, 0))) for dx in (-reach, reach)]
        assert sides[0] is not sides[1]


@pytest.mark.parametrize("room", ROOMS)
def test_courses_are_level_and_meet_in_the_corners(room: str) -> None:
    """Points of the room at one height are at one height of the tile on all three walls, and
    heights are metres within a factor of 1.2."""
    result = planned(room, "Wall")
    width, _, depth = SHELLS[room]
    heights: list[float] = []
    for height in (0.8, 1.5, 2.2):
        places = [
            (0, height, depth - 0.6),
            (width / 2, height, depth),
            (width, height, depth - 0.6),
        ]
        pixels = see(room, places)
        courses = [on(plane_at(result.brush, p), p[None])[0, 1] for p in pixels]
        assert np.ptp(courses) < 0.06
        heights.append(-float(np.mean(courses)))
    assert 1 / 1.2 < (heights[2] - heights[0]) / 1.4 < 1.2
    assert heights[1] == pytest.approx(1.45, abs=0.06)


@pytest.mark.parametrize("room", ROOMS)
def test_texture_runs_on_around_the_corner(room: str) -> None:
    result = planned(room, "Wall")
    side, facing = result.brush.planes[0], result.brush.planes[-2]
    (a, b, c), *_ = side.limits
    for y in (100.0, 200.0):
        corner = np.array([(-(b * y + c) / a, y)])
        assert on(side, corner) == pytest.approx(on(facing, corner), abs=1e-6)


@pytest.mark.parametrize("room", ROOMS)
def test_joints_of_side_walls_run_to_the_vanishing_point(room: str) -> None:
    result = planned(room, "Wall")
    back = np.linalg.inv(result.brush.planes[0].texels)
    far = back @ (1e9, 30, 1)
    assert far[:2] / far[2] == pytest.approx(result.report.vanishing_point, abs=0.5)


@pytest.mark.parametrize(("room", "edge"), [("dining room", (4.25, 3.3)), ("study", (3.3, 2.9))])
def test_faces_of_a_cupboard(room: str, edge: tuple[float, float]) -> None:
    """Its front and the side that is seen, parted where they meet, with the grain upright."""
    result = planned(room, "Cabinet")
    assert result.report.planes == 2
    x, z = edge
    corner = see(room, [(x, 0.5, z)])[0]
    side, front = (plane_at(result.brush, corner + np.array((dx, 0))) for dx in (-8, 8))
    assert side is not front
    low, high, right = see(room, [(x + 0.1, 0.2, z), (x + 0.1, 0.8, z), (x + 0.3, 0.2, z)])
    metres = on(front, np.stack((low, high, right)))
    up, across = metres[1] - metres[0], metres[2] - metres[0]
    assert up == pytest.approx((0.6, 0), abs=0.1)
    assert across == pytest.approx((0, 0.2), abs=0.05)


def test_door_in_a_side_wall() -> None:
    """The bedroom's door stands along the room's depth."""
    result = planned("bedroom", "Door")
    places = [(0.02, height, z) for height in (0.5, 1.5) for z in (2.9, 3.4)]
    pixels = see("bedroom", places)
    metres = on(plane_at(result.brush, pixels[0]), pixels)
    assert metres[0, 0] == pytest.approx(metres[1, 0], abs=0.06)
    assert metres[2, 0] == pytest.approx(metres[3, 0], abs=0.06)
    assert metres[2, 0] - metres[0, 0] == pytest.approx(1, rel=0.25)


def test_wall_of_a_photo_without_lines_is_as_high_as_a_room() -> None:
    photo = np.full((300, 400, 3), 180, np.uint8)
    mask = np.zeros((300, 400), np.uint8)
    mask[50:250] = 255
    result = plan(photo, mask, "Wall")
    assert result.report.geometry is Geometry.FACING
    assert result.report.vanishing_point is None
    (plane,) = result.brush.planes
    metres = on(plane, np.array([(10.0, 50.0), (10.0, 250.0)]))
    assert metres[1] - metres[0] == pytest.approx((0, 2.5))


def test_thing_is_as_long_as_things_for_sale() -> None:
    photo = rooms()["study"].pixels
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[100:160, 200:320] = 255
    result = plan(photo, mask, "Body")
    assert result.report.geometry is Geometry.FACING
    metres = on(result.brush.planes[0], np.array([(200.0, 100.0), (320.0, 100.0)]))
    assert metres[1] - metres[0] == pytest.approx((0.3, 0))
    assert METRES == 1.0
