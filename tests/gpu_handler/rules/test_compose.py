"""Layers and protection: what must not change does not, and the report would notice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.rules.compose import Layer, compose
from shared.rules import PixelRule, Recolor, Remove, Texture, Tone, ToneParameters

Pixels = NDArray[np.uint8]

UNIT = st.floats(-1, 1)
LEVEL = st.integers(0, 255)
RULES = st.one_of(
    st.builds(Recolor, st.tuples(LEVEL, LEVEL, LEVEL), st.just("x")),
    st.builds(Tone, st.builds(ToneParameters, UNIT, UNIT, UNIT, UNIT)),
    st.just(Texture("oak_a")),
    st.just(Remove()),
)
NAVY = Recolor((31, 42, 68), "navy")


def noisy_mask(noise: np.random.Generator, shape: tuple[int, int]) -> Pixels:
    """Blocks of 0, of 255, and of anything between."""
    kinds = noise.integers(0, 3, shape)
    soft = noise.integers(0, 256, shape)
    return np.where(kinds == 0, 0, np.where(kinds == 1, 255, soft)).astype(np.uint8)


def full(pixels: Pixels, value: int = 255) -> Pixels:
    return np.full(pixels.shape[:2], value, np.uint8)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    rules=st.lists(RULES, max_size=3),
    protects=st.integers(0, 2),
    seed=st.integers(0, 999),
)
@settings(max_examples=120, deadline=None)
def test_pixels_of_alpha_zero_are_bit_identical(
    shape: tuple[int, int], rules: list[PixelRule], protects: int, seed: int
) -> None:
    noise = np.random.default_rng(seed)
    pixels = noise.integers(0, 256, (*shape, 3), np.uint8)
    layers = [Layer(f"c{i}", rule, noisy_mask(noise, shape)) for i, rule in enumerate(rules)]
    protect = [noisy_mask(noise, shape) for _ in range(protects)]
    before = pixels.copy()
    composed = compose(pixels, layers, protect)
    assert np.array_equal(pixels, before)
    assert composed.pixels.shape == pixels.shape
    assert composed.pixels.dtype == np.uint8
    covered = np.zeros(shape, bool)
    for layer in layers:
        covered |= layer.alpha > 0
    shield = np.max([np.zeros(shape, np.uint8), *protect], 0)
    untouched = ~covered | (shield >= 128)
    assert np.array_equal(composed.pixels[untouched], before[untouched])
    assert composed.protected_pixels == np.count_nonzero(shield >= 128)
    assert composed.protected_pixels_changed == 0
    assert composed.max_abs_diff_in_protect == 0


def test_larger_than_a_tile(cream_wall: Pixels) -> None:
    alpha = full(cream_wall)
    alpha[100:140, 200:300] = 0
    alpha[300:, 400:] = 0
    composed = compose(cream_wall, [Layer("Wall", NAVY, alpha)], [])
    assert np.array_equal(composed.pixels[alpha == 0], cream_wall[alpha == 0])
    assert (composed.pixels[alpha == 255] != cream_wall[alpha == 255]).any(-1).all()


def test_protection_fades_a_rule_in(cream_wall: Pixels) -> None:
    """Protect alpha 0, 64 and 127 leave all, about half and almost nothing of the rule."""
    shield = full(cream_wall, 0)
    shield[:, 100:200], shield[:, 200:300], shield[:, 300:] = 64, 127, 128
    done = compose(cream_wall, [Layer("Wall", NAVY, full(cream_wall))], [shield]).pixels
    alone = compose(cream_wall, [Layer("Wall", NAVY, full(cream_wall))], []).pixels
    moved = np.abs(done.astype(int) - cream_wall).mean((0, 2))
    whole = np.abs(alone.astype(int) - cream_wall).mean((0, 2))
    assert moved[50] / whole[50] == pytest.approx(1, abs=0.1)
    assert moved[150] / whole[150] == pytest.approx(127 / 255, abs=0.05)
    assert moved[250] / whole[250] < 0.02
    assert (moved[300:] == 0).all()


def test_the_strongest_protection_counts(cream_wall: Pixels) -> None:
    first, second = full(cream_wall, 0), full(cream_wall, 0)
    first[:50], second[:, :50] = 255, 200
    composed = compose(cream_wall, [Layer("Wall", NAVY, full(cream_wall))], [first, second])
    either = np.maximum(first, second) > 0
    assert composed.protected_pixels == either.sum()
    assert np.array_equal(composed.pixels[either], cream_wall[either])


def test_the_report_compares_and_does_not_assume(
    cream_wall: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With protection switched off inside, the same report tells on it."""
    monkeypatch.setattr("gpu_handler.rules.compose._KEEP", np.full(256, 255, np.uint8))
    composed = compose(cream_wall, [Layer("Wall", NAVY, full(cream_wall))], [full(cream_wall, 255)])
    difference = np.abs(composed.pixels.astype(int) - cream_wall)
    assert composed.protected_pixels == cream_wall[..., 0].size
    assert composed.protected_pixels_changed == np.count_nonzero(difference.any(-1)) > 0
    assert composed.max_abs_diff_in_protect == difference.max() > 50


def test_later_layers_lie_over_earlier_ones(cream_wall: Pixels) -> None:
    sage = Recolor((156, 175, 136), "sage")
    alpha = full(cream_wall)
    both = compose(cream_wall, [Layer("Wall", NAVY, alpha), Layer("Tile", sage, alpha)], [])
    only = compose(cream_wall, [Layer("Tile", sage, alpha)], [])
    assert np.array_equal(both.pixels, only.pixels)
    assert set(both.recolored) == {"Wall", "Tile"}


def test_a_tone_shifts_what_earlier_layers_left(cream_wall: Pixels) -> None:
    alpha, dark = full(cream_wall), Tone(ToneParameters(brightness=-0.5))
    painted = compose(cream_wall, [Layer("Wall", NAVY, alpha)], []).pixels
    both = compose(cream_wall, [Layer("Wall", NAVY, alpha), Layer("Trim", dark, alpha)], []).pixels
    assert both.mean() < 0.9 * painted.mean()
    assert np.array_equal(both, compose(painted, [Layer("Trim", dark, alpha)], []).pixels)


@pytest.mark.parametrize("rule", [Texture("oak_a"), Remove()])
def test_what_cannot_be_done_yet_is_told_and_left_alone(
    cream_wall: Pixels, rule: PixelRule
) -> None:
    composed = compose(cream_wall, [Layer("Floor", rule, full(cream_wall))], [])
    (warning,) = composed.warnings
    assert (warning.code, warning.concept) == ("ACTION_UNAVAILABLE", "Floor")
    assert type(rule).__name__.lower() in warning.message
    assert np.array_equal(composed.pixels, cream_wall)


def test_masks_of_another_size_are_refused(cream_wall: Pixels) -> None:
    small = np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError):
        compose(cream_wall, [Layer("Wall", NAVY, small)], [])
    with pytest.raises(ValueError):
        compose(cream_wall, [], [small])
