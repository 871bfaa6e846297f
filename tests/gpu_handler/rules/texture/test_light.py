"""The light that a texture takes over from the surface, and the room's white."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.imaging.color import LUMA, linear_to_oklab, srgb_to_linear
from gpu_handler.rules.texture.daylight import light_colour
from gpu_handler.rules.texture.shade import Grain, shade
from tests.gpu_handler.rules.texture.pictured import plan, planned

SHAPE = (320, 480)


def test_shade_follows_the_light_and_not_the_joints() -> None:
    light, floor = _lit_planks()
    found = shade(floor, np.full(SHAPE, 255, np.uint8), Grain.JOINTS).factors
    true = _shrunk(light, found.shape)
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.97
    # Without its joints the floor is smooth from one cell to the next.
    assert np.abs(np.diff(found, axis=1)).max() < 0.06
    assert np.median(found) == pytest.approx(1, abs=0.03)


def test_shadow_at_the_edge_keeps_its_depth() -> None:
    """Under furniture, dark or light, that is not part of the mask."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[160:] = 255
    edges: list[float] = []
    for furniture in (0, 250):
        photo = np.full((*SHAPE, 3), 160, np.uint8)
        photo[160:200] = 80
        photo[:160] = furniture
        factors = shade(photo, mask, Grain.JOINTS).factors
        row = round(166 * factors.shape[0] / SHAPE[0])
        edges.append(float(factors[row].mean()))
    assert edges[0] == pytest.approx(edges[1], abs=0.01)
    assert edges[0] == pytest.approx(0.5**0.9, abs=0.05)


def test_relief_stays() -> None:
    """The panel of a door is its shape: a line of shade 2 of 640 pixels wide."""
    photo = np.full((480, 640, 3), 200, np.uint8)
    photo[200:203] = 120
    mask = np.full((480, 640), 255, np.uint8)
    assert shade(photo, mask, Grain.NOISE).factors.min() < 0.75
    assert shade(photo, mask, Grain.JOINTS).factors.min() > 0.95


@pytest.mark.parametrize("cast", [(1.12, 1.0, 0.82), (0.93, 1.0, 1.08)])
def test_white_takes_the_room_light(cast: tuple[float, float, float]) -> None:
    photo = np.full((200, 300, 3), 190.0) * cast
    photo[120:] = (90, 60, 40)
    colour = light_colour(photo.clip(0, 255).astype(np.uint8))
    assert (colour[0] > colour[2]) == (cast[0] > cast[2])
    assert colour @ LUMA == pytest.approx(1)
    assert 0.85 < colour.min() < colour.max() < 1.15


def test_coloured_walls_are_no_light() -> None:
    """A blue room has no blue lamps: the tint stays within what daylight does."""
    colour = light_colour(np.full((100, 100, 3), (40, 70, 200), np.uint8))
    assert 0.85 < colour.min() < colour.max() < 1.15


def test_white_tiles_do_not_glow() -> None:
    photo = np.full((300, 400, 3), 215, np.uint8)
    photo[150:] = (110, 90, 70)
    mask = np.zeros((300, 400), np.uint8)
    mask[150:] = 255
    brush = plan(photo, mask, "Floor", (240, 240, 238)).brush
    h, w = brush.light.shape[:2]
    colour = brush.light[h * 3 // 4, w // 2] * 240 / 255
    lightness = linear_to_oklab(srgb_to_linear(colour.astype(np.float64)))[0]
    assert 0.75 < lightness < 0.9
    assert brush.shoulder < 225


def test_dark_tiles_keep_their_colour() -> None:
    photo = np.full((300, 400, 3), 215, np.uint8)
    brush = plan(photo, np.full((300, 400), 255, np.uint8), "Wall", (90, 70, 60)).brush
    assert brush.light == pytest.approx(1, abs=0.02)


def test_light_of_a_room_is_plausible() -> None:
    light = planned("living room", "Floor").brush.light
    assert light.dtype == np.float32
    assert light.shape[2] == 3
    assert 0.1 < light.min() < light.max() < 1.6


def _lit_planks() -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """A floor of planks with dark joints under a lamp and beside a soft shadow."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]] / SHAPE[1]
    light = 0.65 + 0.35 * np.exp(-((x - 0.3) ** 2 + (y - 0.3) ** 2) / 0.1)
    light *= 1 - 0.35 / (1 + np.exp(-(x - 0.75) * 60))
    joints = np.where((np.arange(SHAPE[0]) % 30 < 3)[:, None], 0.5, 1.0)
    floor = np.array((190, 160, 120)) * (light * joints)[..., None]
    return light, floor.round().astype(np.uint8)


def _shrunk(light: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(cv2.resize(light, shape[::-1], interpolation=cv2.INTER_AREA), np.float64)
