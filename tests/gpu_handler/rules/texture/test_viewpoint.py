"""The camera found in photos whose camera is known."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.rules.texture.camera import Camera
from gpu_handler.rules.texture.segments import find_segments
from gpu_handler.rules.texture.viewpoint import find_camera
from tests.gpu_handler.rules.texture.pictured import CAMERAS, ROOMS, rooms, see


@pytest.mark.parametrize("room", ROOMS)
def test_camera_of_a_room(room: str) -> None:
    photo, true = rooms()[room].pixels, CAMERAS[room]
    height, width = photo.shape[:2]
    seen = find_camera(find_segments(photo), (height, width))
    x, y = seen.camera.vanishing_point((0, 0, 1)) or (np.nan, np.nan)
    there = see(room, [(true.eye[0], true.eye[1], 1e6)])[0]
    assert abs(x - there[0]) < 0.02 * width
    assert abs(y - there[1]) < 0.02 * height
    for column in (0, width - 1):
        assert abs(seen.camera.horizon(column) - there[1]) < 0.02 * height
    assert seen.camera.focal == pytest.approx(true.focal, rel=0.12)
    assert seen.support > 0.6


def test_tilted_photos() -> None:
    """A corner seen from above, with the camera held askew: lines of a grid of boxes."""
    true = Camera((600, 800), focal=0.9, yaw=0.5, pitch=-0.3, roll=0.06)
    found = find_camera(find_segments(_boxes(true)), true.shape)
    assert np.degrees(found.camera.yaw - true.yaw) == pytest.approx(0, abs=1)
    assert np.degrees(found.camera.pitch - true.pitch) == pytest.approx(0, abs=1)
    assert np.degrees(found.camera.roll - true.roll) == pytest.approx(0, abs=1)
    assert found.camera.focal == pytest.approx(true.focal, rel=0.05)


def test_clutter_supports_no_camera() -> None:
    noise = np.random.default_rng(2).normal(0, 1, (400, 600, 3))
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.float64)
    blobs = np.clip(128 + 500 * blurred, 0, 255).astype(np.uint8)
    segments = find_segments(blobs)
    assert len(segments.starts) > 10
    assert find_camera(segments, (400, 600)).support < 0.3


def test_nothing_to_see() -> None:
    for shape in ((1, 500), (300, 1), (40, 40)):
        seen = find_camera(find_segments(np.full((*shape, 3), 90, np.uint8)), shape)
        assert seen.camera == Camera(shape)
        assert seen.support == 0


def test_same_photo_same_camera() -> None:
    photo = rooms()["study"].pixels
    first, second = (find_camera(find_segments(photo), photo.shape[:2]) for _ in range(2))
    assert first == second


def test_horizon_and_vanishing_point_agree() -> None:
    camera = Camera((400, 600), yaw=0.3, pitch=0.1, roll=0.05)
    for direction in ((0, 0, 1), (1, 0, 0), (1, 0, 2)):
        x, y = camera.vanishing_point(direction) or (np.nan, np.nan)
        assert camera.horizon(x) == pytest.approx(y, abs=1e-6)
    assert Camera((400, 600)).vanishing_point((1, 0, 0)) is None


def _boxes(camera: Camera) -> NDArray[np.uint8]:
    """Edges of boxes along the axes of a room, drawn as `camera` sees them."""
    height, width = camera.shape
    picture = np.full((height, width, 3), 200, np.uint8)
    to_pixels = np.linalg.inv(camera.rays())
    random = np.random.default_rng(5)
    for _ in range(40):
        corner = np.array((random.uniform(-3, 5), random.uniform(-1, 3), random.uniform(4, 8)))
        for axis in np.eye(3) * random.uniform(0.5, 1.5):
            ends = to_pixels @ np.stack((corner, corner + axis), 1)
            if (ends[2] > 0.1).all():
                (x0, x1), (y0, y1) = ends[:2] / ends[2]
                points = [(round(x * 16), round(y * 16)) for x, y in ((x0, y0), (x1, y1))]
                cv2.line(picture, points[0], points[1], (60, 60, 60), 2, cv2.LINE_AA, 4)
    return picture
