"""Tone: each parameter does what it says, keeps what it must, and clips nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.imaging.color import LUMINANCE, Array, linear_to_oklab, srgb_to_linear
from gpu_handler.rules.tone import saturation_matrix, tone, tone_curves
from shared.rules import TONES, ToneParameters

Pixels = NDArray[np.uint8]


def full(pixels: Pixels) -> Pixels:
    return np.full(pixels.shape[:2], 255, np.uint8)


def luminance(pixels: Pixels) -> Array:
    return srgb_to_linear(pixels.astype(np.float64) / 255) @ LUMINANCE


def lab(pixels: Pixels) -> Array:
    return linear_to_oklab(srgb_to_linear(pixels.astype(np.float64) / 255)).mean((0, 1))


def shifted(pixels: Pixels, **parameters: float) -> Pixels:
    return tone(pixels, full(pixels), ToneParameters(**parameters))


def test_no_parameters_no_change(cream_wall: Pixels) -> None:
    assert np.array_equal(shifted(cream_wall), cream_wall)
    curves = tone_curves(ToneParameters())
    assert np.array_equal(curves, np.arange(256)[:, None].repeat(3, 1))
    assert np.array_equal(saturation_matrix(0), np.eye(3))


def test_directions(cream_wall: Pixels) -> None:
    before = lab(cream_wall)
    assert lab(shifted(cream_wall, warmth=0.5))[2] > before[2] + 0.01
    assert lab(shifted(cream_wall, warmth=-0.5))[2] < before[2] - 0.01
    assert lab(shifted(cream_wall, brightness=0.5))[0] > before[0] + 0.03
    assert lab(shifted(cream_wall, brightness=-0.5))[0] < before[0] - 0.03
    assert np.hypot(*lab(shifted(cream_wall, saturation=0.5))[1:]) > 1.3 * np.hypot(*before[1:])
    assert np.hypot(*lab(shifted(cream_wall, saturation=-0.5))[1:]) < 0.7 * np.hypot(*before[1:])


def test_contrast_spreads_around_middle_grey_and_gathers_there() -> None:
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    assert shifted(greys, contrast=0.5).std() > 1.15 * greys.std()
    assert shifted(greys, contrast=-0.5).std() < 0.8 * greys.std()
    for contrast in (-0.5, 0.5):
        assert abs(int(shifted(greys, contrast=contrast)[0, 127, 0]) - 127) <= 1


@pytest.mark.parametrize("warmth", [-1, -0.4, 0.4, 1])
def test_warmth_keeps_the_luminance_of_greys(warmth: float) -> None:
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    after = luminance(shifted(greys, warmth=warmth))[0, :215]
    before = luminance(greys)[0, :215]
    assert np.abs(after - before).max() < 0.005


@pytest.mark.parametrize("saturation", [-1, -0.4, 0.35])
def test_saturation_keeps_greys_and_nearly_the_luminance(
    cream_wall: Pixels, saturation: float
) -> None:
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    assert np.abs(shifted(greys, saturation=saturation).astype(int) - greys).max() <= 1
    before, after = luminance(cream_wall), luminance(shifted(cream_wall, saturation=saturation))
    assert np.abs(after - before).max() < 0.03


def test_no_saturation_is_grey(cream_wall: Pixels) -> None:
    assert np.ptp(shifted(cream_wall, saturation=-1), -1).max() == 0


@given(warmth=st.floats(-1, 1), brightness=st.floats(-1, 1), contrast=st.floats(-1, 1))
@settings(max_examples=80, deadline=None)
def test_curves_rise_and_do_not_clip(warmth: float, brightness: float, contrast: float) -> None:
    parameters = ToneParameters(warmth=warmth, brightness=brightness, contrast=contrast)
    with np.errstate(all="raise", under="ignore"):
        curves = tone_curves(parameters).astype(int)
    assert (np.diff(curves, axis=0) >= 0).all()
    assert ((curves == 255).sum(0) <= 24).all()
    if contrast <= 0:
        assert (np.diff(curves, axis=0)[20:-20] <= 6).all()


@pytest.mark.parametrize("name", TONES)
def test_named_tones_clip_nothing_on_a_wall(name: str, cream_wall: Pixels) -> None:
    after = tone(cream_wall, full(cream_wall), TONES[name])
    assert (after == 255).mean() < 0.01
    assert (after == 0).mean() < 0.01
    assert not np.array_equal(after, cream_wall)


def test_out_may_be_the_photo_itself(cream_wall: Pixels) -> None:
    canvas = cream_wall.copy()
    parameters = ToneParameters(warmth=0.4, saturation=0.2)
    assert tone(canvas, full(canvas), parameters, canvas) is canvas
    assert np.array_equal(canvas, shifted(cream_wall, warmth=0.4, saturation=0.2))
