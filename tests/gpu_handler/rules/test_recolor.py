"""Recolouring a lit wall: the colour is reached, the light stays, nothing burns out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.backends.base import STEPS
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.imaging.color import (
    Array,
    delta_e_2000,
    linear_to_cielab,
    linear_to_oklab,
    srgb_to_linear,
)
from gpu_handler.rules.recolor import RecolorReport, plan_recolor, report_recolor
from gpu_handler.rules.shading import shade
from shared.rules import Recolor

Pixels = NDArray[np.uint8]

NAVY, SAGE, OFFWHITE, WHITE = (31, 42, 68), (156, 175, 136), (245, 243, 238), (255, 255, 255)


def oklab(pixels: Pixels) -> Array:
    return linear_to_oklab(srgb_to_linear(pixels.astype(np.float64) / 255))


def full(pixels: Pixels) -> Pixels:
    return np.full(pixels.shape[:2], 255, np.uint8)


def recolor(pixels: Pixels, alpha: Pixels, rule: Recolor) -> tuple[Pixels, RecolorReport | None]:
    canvas = CpuBackend().open(pixels)
    cover = canvas.stretch(alpha)
    brush = plan_recolor(canvas, cover, rule)
    if brush is None:
        return canvas.picture(), None
    canvas.paint(cover, brush)
    report = report_recolor(canvas, cover, rule)
    return canvas.picture(), report


def clipped(pixels: Pixels) -> float:
    return float((pixels == 255).any(-1).mean())


@pytest.mark.parametrize("rgb", [NAVY, SAGE, OFFWHITE, (150, 30, 40), (20, 20, 20)])
def test_light_stays_and_the_colour_is_reached(
    cream_wall: Pixels, rgb: tuple[int, int, int]
) -> None:
    before = cream_wall.copy()
    painted, report = recolor(cream_wall, full(cream_wall), Recolor(rgb, "x"))
    assert np.array_equal(cream_wall, before)
    light = np.corrcoef(oklab(before)[..., 0].ravel(), oklab(painted)[..., 0].ravel())[0, 1]
    assert light >= 0.95
    assert clipped(painted) <= 0.01
    median = np.median(painted.reshape(-1, 3), 0)
    asked, reached = linear_to_cielab(srgb_to_linear(np.array((rgb, median)) / 255))
    measured = float(delta_e_2000(asked, reached))
    assert measured <= 5
    assert report is not None
    assert report.asked == rgb
    assert report.delta_e == pytest.approx(measured, abs=0.6)
    assert not report.out_of_reach


def test_in_deep_shade_the_lit_part_has_the_colour_and_the_report_tells(
    harsh_wall: Pixels,
) -> None:
    """Anchored at the median instead, the lit half of a white wall would burn to paper."""
    painted, report = recolor(harsh_wall, full(harsh_wall), Recolor(OFFWHITE, "x"))
    lit = painted[harsh_wall.mean(-1) >= np.quantile(harsh_wall.mean(-1), 0.75)]
    both = np.array((OFFWHITE, np.median(lit, 0))) / 255
    assert float(delta_e_2000(*linear_to_cielab(srgb_to_linear(both)))) < 3
    assert clipped(painted) <= 0.01
    assert report is not None
    assert 5 < report.delta_e < 20
    assert report.out_of_reach


def test_white_still_reads_as_a_lit_wall(cream_wall: Pixels) -> None:
    painted, _ = recolor(cream_wall, full(cream_wall), Recolor(WHITE, "white"))
    assert clipped(painted) <= 0.01
    assert (painted.min(-1) >= 250).mean() < 0.2
    shade_range = np.quantile(painted, 0.95) - np.quantile(painted, 0.05)
    assert shade_range > 15


def test_a_dark_wall_made_light_does_not_get_noisy(dark_wall: Pixels) -> None:
    painted, report = recolor(dark_wall, full(dark_wall), Recolor(OFFWHITE, "x"))
    assert clipped(painted) <= 0.01
    assert report is not None
    assert report.delta_e < 15
    shading = shade(OFFWHITE, dark_wall.reshape(-1, 3))
    middle = int(np.median(dark_wall.mean(-1)))
    around = shading.table[[(middle - 10) * STEPS, (middle + 10) * STEPS], 1]
    steep = float(around[1] - around[0]) / 20
    assert steep > 1.5
    assert grain(painted) < 0.85 * steep * grain(dark_wall)
    light = np.corrcoef(smooth(dark_wall).ravel(), smooth(painted).ravel())[0, 1]
    assert light >= 0.95


def smooth(pixels: Pixels) -> NDArray[np.float64]:
    """Means of 8 x 8 blocks of grey."""
    grey = pixels.mean(-1)
    return grey.reshape(grey.shape[0] // 8, 8, -1, 8).mean((1, 3))


def grain(pixels: Pixels) -> float:
    blocks = smooth(pixels).repeat(8, 0).repeat(8, 1)
    return float((pixels.mean(-1) - blocks).std())


def test_coloured_light_stays(cream_wall: Pixels) -> None:
    """The left of the wall is lit cooler than the right; so it is after painting."""
    painted, _ = recolor(cream_wall, full(cream_wall), Recolor((190, 190, 190), "grey"))

    def rise(pixels: Pixels) -> float:
        lab = oklab(pixels)
        yellow = lab[..., 2] / lab[..., 0]
        return float(yellow[:, -60:].mean() - yellow[:, :60].mean())

    assert 0.1 < rise(painted) / rise(cream_wall) < 0.6


def test_a_colourful_surface_leaves_no_trace_of_its_colour() -> None:
    from_red = np.full((80, 80, 3), (180, 20, 30), np.uint8)
    from_red[:, 50:] = (120, 14, 20)
    painted, report = recolor(from_red, full(from_red), Recolor((128, 128, 128), "grey"))
    assert np.abs(oklab(painted)[..., 1:]).max() < 0.004
    assert report is not None
    assert report.delta_e < 5


def test_only_what_the_mask_covers_is_measured(cream_wall: Pixels) -> None:
    half = cream_wall.copy()
    half[:, 240:] = (10, 200, 30)
    alpha = full(half)
    alpha[:, 240:] = 0
    painted, report = recolor(half, alpha, Recolor(NAVY, "navy"))
    assert np.array_equal(painted[:, 240:], half[:, 240:])
    assert report is not None
    assert report.delta_e < 1


def test_half_an_alpha_is_half_the_paint(cream_wall: Pixels) -> None:
    rule = Recolor(NAVY, "navy")
    whole, _ = recolor(cream_wall, full(cream_wall), rule)
    half, _ = recolor(cream_wall, full(cream_wall) // 255 * 128, rule)
    expected = cream_wall + (whole.astype(float) - cream_wall) * 128 / 255
    assert np.abs(half - expected).max() <= 0.5001


def test_an_empty_mask_changes_nothing(cream_wall: Pixels) -> None:
    painted, report = recolor(cream_wall, full(cream_wall) * 0, Recolor(NAVY, "navy"))
    assert report is None
    assert np.array_equal(painted, cream_wall)


@pytest.mark.parametrize("old", [0, 1, 128, 255])
@pytest.mark.parametrize("rgb", [(0, 0, 0), WHITE, (0, 0, 255), (255, 255, 0)])
def test_flat_surfaces_of_any_grey(old: int, rgb: tuple[int, int, int]) -> None:
    flat = np.full((5, 7, 3), old, np.uint8)
    with np.errstate(all="raise", under="ignore"):
        painted, report = recolor(flat, full(flat), Recolor(rgb, "x"))
    assert (painted == painted[0, 0]).all()
    assert report is not None
    if old == 128:
        assert report.delta_e < 6


def test_a_single_pixel_far_from_any_sampling_grid() -> None:
    pixels = np.full((301, 307, 3), 150, np.uint8)
    alpha = np.zeros((301, 307), np.uint8)
    alpha[299, 301] = 3
    painted, report = recolor(pixels, alpha, Recolor((255, 0, 0), "red"))
    assert report is not None
    changed = (painted != pixels).any(-1)
    assert changed.sum() <= 1
    assert changed[299, 301]


@pytest.mark.parametrize("rgb", [NAVY, SAGE, WHITE, (255, 0, 0), (0, 0, 255)])
@pytest.mark.parametrize("grey", [30, 120, 230])
def test_tables_rise_with_lightness(rgb: tuple[int, int, int], grey: int) -> None:
    """More light on the wall never gives a darker paint; the reference gives the colour itself."""
    shading = shade(rgb, np.full((100, 3), grey, np.uint8))
    lab = linear_to_oklab(srgb_to_linear(shading.table.astype(np.float64) / 255))
    assert (np.diff(lab[:, 0]) > -1e-4).all()
    assert shading.table.min() >= 0
    assert shading.table.max() <= 255
    if rgb != WHITE:
        assert np.abs(shading.table[grey * STEPS] - rgb).max() < 2
