"""Tone: each parameter does what it says, keeps what it must, and clips nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.imaging.color import LUMINANCE, Array, linear_to_oklab, srgb_to_linear
from gpu_handler.rules.tone import plan_tone, tone_curve
from shared.rules import TONES, ToneParameters

Pixels = NDArray[np.uint8]


def luminance(pixels: Pixels) -> Array:
    return srgb_to_linear(pixels.astype(np.float64) / 255) @ LUMINANCE


def lab(pixels: Pixels) -> Array:
    return linear_to_oklab(srgb_to_linear(pixels.astype(np.float64) / 255)).mean((0, 1))


def toned(pixels: Pixels, parameters: ToneParameters) -> Pixels:
    canvas, brush = CpuBackend().open(pixels), plan_tone(parameters)
    if brush is not None:
        canvas.paint(canvas.stretch(np.full(pixels.shape[:2], 255, np.uint8)), brush)
    return canvas.picture()


def shifted(pixels: Pixels, **parameters: float) -> Pixels:
    return toned(pixels, ToneParameters(**parameters))


def greys() -> Pixels:
    return np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)


def colours() -> Pixels:
    """A cube of 13 x 13 x 13 colours."""
    steps = np.linspace(0, 255, 13).round().astype(np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps), -1).reshape(13, 169, 3)


def test_no_parameters_no_change(cream_wall: Pixels) -> None:
    assert plan_tone(ToneParameters()) is None
    assert np.allclose(tone_curve(ToneParameters()), np.linspace(0, 1, 1021))


def test_directions(cream_wall: Pixels) -> None:
    before = lab(cream_wall)
    assert lab(shifted(cream_wall, warmth=0.5))[2] > before[2] + 0.01
    assert lab(shifted(cream_wall, warmth=-0.5))[2] < before[2] - 0.01
    assert lab(shifted(cream_wall, brightness=0.5))[0] > before[0] + 0.03
    assert lab(shifted(cream_wall, brightness=-0.5))[0] < before[0] - 0.03
    assert np.hypot(*lab(shifted(cream_wall, saturation=0.5))[1:]) > 1.3 * np.hypot(*before[1:])
    assert np.hypot(*lab(shifted(cream_wall, saturation=-0.5))[1:]) < 0.7 * np.hypot(*before[1:])


def test_contrast_spreads_around_middle_grey_and_gathers_there() -> None:
    assert shifted(greys(), contrast=0.5).std() > 1.15 * greys().std()
    assert shifted(greys(), contrast=-0.5).std() < 0.8 * greys().std()
    for contrast in (-0.5, 0.5):
        assert abs(int(shifted(greys(), contrast=contrast)[0, 127, 0]) - 127) <= 1


@pytest.mark.parametrize(
    "parameters",
    [
        ToneParameters(warmth=-1),
        ToneParameters(warmth=0.4),
        ToneParameters(warmth=1, saturation=1),
        ToneParameters(saturation=-1),
        ToneParameters(saturation=0.35),
    ],
)
def test_where_only_colour_is_asked_the_luminance_stays(parameters: ToneParameters) -> None:
    """Of every colour; what 8 bits cannot tell is at most 0.005 in linear light."""
    cube = colours()
    difference = luminance(toned(cube, parameters)) - luminance(cube)
    assert np.abs(difference).max() < 0.005
    assert np.abs(luminance(toned(greys(), parameters)) - luminance(greys())).max() < 0.005


def test_no_saturation_is_grey_and_greys_stay(cream_wall: Pixels) -> None:
    assert np.ptp(shifted(cream_wall, saturation=-1), -1).max() <= 1
    for saturation in (-1.0, -0.4, 0.35, 1.0):
        assert np.abs(shifted(greys(), saturation=saturation).astype(int) - greys()).max() <= 1


@given(brightness=st.floats(-1, 1), contrast=st.floats(-1, 1))
@settings(max_examples=80, deadline=None)
def test_curves_rise_and_stay_in_range(brightness: float, contrast: float) -> None:
    parameters = ToneParameters(brightness=brightness, contrast=contrast)
    with np.errstate(all="raise", under="ignore"):
        curve = tone_curve(parameters)
    assert (np.diff(curve) >= 0).all()
    assert curve.min() >= 0
    assert curve.max() <= 1
    levels = np.rint(curve * 255)
    assert (levels == 255).mean() < 0.1


@pytest.mark.parametrize("name", TONES)
def test_named_tones_clip_nothing_on_a_wall(name: str, cream_wall: Pixels) -> None:
    after = toned(cream_wall, TONES[name])
    assert (after == 255).mean() < 0.01
    assert (after == 0).mean() < 0.01
    assert not np.array_equal(after, cream_wall)
