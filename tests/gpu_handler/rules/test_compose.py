"""Layers and protection: what must not change does not, and the report would notice."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.backends.base import Cover, PixelBackend
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.backends.cpu.canvas import CpuCanvas
from gpu_handler.rules.compose import Composed, Layer, Surroundings, compose
from shared.rules import PixelRule, Recolor, Remove, Texture, Tone, ToneParameters

Pixels = NDArray[np.uint8]
Alpha = NDArray[np.uint8]

UNIT = st.floats(-1, 1)
LEVEL = st.integers(0, 255)
RULES = st.one_of(
    st.builds(Recolor, st.tuples(LEVEL, LEVEL, LEVEL), st.just("x")),
    st.builds(Tone, st.builds(ToneParameters, UNIT, UNIT, UNIT, UNIT)),
    st.just(Texture("oak_a")),
    st.just(Texture("brick_red")),
    st.just(Remove()),
)
NAVY = Recolor((31, 42, 68), "navy")
SAGE = Recolor((156, 175, 136), "sage")


def noisy_mask(noise: np.random.Generator, shape: tuple[int, int]) -> Alpha:
    """Blocks of 0, of 255, and of anything between."""
    kinds = noise.integers(0, 3, shape)
    soft = noise.integers(0, 256, shape)
    return np.where(kinds == 0, 0, np.where(kinds == 1, 255, soft)).astype(np.uint8)


def full(pixels: Pixels, value: int = 255) -> Alpha:
    return np.full(pixels.shape[:2], value, np.uint8)


def carried_out(
    pixels: Pixels,
    layers: Sequence[tuple[str, PixelRule, Alpha]],
    protect: Sequence[Alpha] = (),
    hosts: dict[str, Alpha] | None = None,
    backend: PixelBackend | None = None,
) -> tuple[Pixels, Composed]:
    canvas = (backend or CpuBackend()).open(pixels)
    stretched = [Layer(name, rule, canvas.stretch(alpha)) for name, rule, alpha in layers]
    known: dict[str, Cover] = {name: canvas.stretch(a) for name, a in (hosts or {}).items()}
    shields = [canvas.stretch(alpha) for alpha in protect]
    composed = compose(canvas, pixels, stretched, shields, Surroundings(known))
    return canvas.picture(), composed


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    rules=st.lists(RULES, max_size=3),
    protects=st.integers(0, 2),
    seed=st.integers(0, 999),
)
@settings(max_examples=100, deadline=None)
def test_pixels_that_no_cover_reaches_are_bit_identical(
    shape: tuple[int, int], rules: list[PixelRule], protects: int, seed: int
) -> None:
    noise = np.random.default_rng(seed)
    pixels = noise.integers(0, 256, (*shape, 3), np.uint8)
    layers = [(f"c{i}", rule, noisy_mask(noise, shape)) for i, rule in enumerate(rules)]
    protect = [noisy_mask(noise, shape) for _ in range(protects)]
    before = pixels.copy()
    after, composed = carried_out(pixels, layers, protect)
    assert np.array_equal(pixels, before)
    assert after.shape == pixels.shape
    assert after.dtype == np.uint8
    covered = np.zeros(shape, bool)
    for cover in composed.covers.values():
        covered |= cover.host() > 0
    shield = np.max([np.zeros(shape, np.uint8), *protect], 0)
    assert not (covered & (shield >= 128)).any()
    assert np.array_equal(after[~covered], before[~covered])
    assert composed.proof.pixels == np.count_nonzero(shield >= 128)
    assert composed.proof.changed == 0
    assert composed.proof.max_abs_diff == 0


def test_a_cover_is_what_was_asked_for_less_what_is_protected(cream_wall: Pixels) -> None:
    alpha, shield = full(cream_wall), full(cream_wall, 0)
    alpha[100:140, 200:300] = 0
    shield[:50] = 255
    after, composed = carried_out(cream_wall, [("Wall", NAVY, alpha)], [shield])
    expected = np.where(shield, 0, alpha)
    assert np.array_equal(composed.covers["Wall"].host(), expected)
    assert np.array_equal(after[expected == 0], cream_wall[expected == 0])
    assert (after[expected == 255] != cream_wall[expected == 255]).any(-1).all()


def test_protection_fades_a_rule_in(cream_wall: Pixels) -> None:
    """Protect alpha 0, 64 and 127 leave all, about half and almost nothing of the rule."""
    shield = full(cream_wall, 0)
    shield[:, 100:200], shield[:, 200:300], shield[:, 300:] = 64, 127, 128
    done, _ = carried_out(cream_wall, [("Wall", NAVY, full(cream_wall))], [shield])
    alone, _ = carried_out(cream_wall, [("Wall", NAVY, full(cream_wall))])
    moved = np.abs(done.astype(int) - cream_wall).mean((0, 2))
    whole = np.abs(alone.astype(int) - cream_wall).mean((0, 2))
    assert moved[50] / whole[50] == pytest.approx(1, abs=0.1)
    assert moved[150] / whole[150] == pytest.approx(127 / 255, abs=0.05)
    assert moved[250] / whole[250] < 0.02
    assert (moved[300:] == 0).all()


def test_the_strongest_protection_counts(cream_wall: Pixels) -> None:
    first, second = full(cream_wall, 0), full(cream_wall, 0)
    first[:50], second[:, :50] = 255, 200
    after, composed = carried_out(cream_wall, [("Wall", NAVY, full(cream_wall))], [first, second])
    either = np.maximum(first, second) > 0
    assert composed.proof.pixels == either.sum()
    assert np.array_equal(after[either], cream_wall[either])


def test_later_layers_lie_over_earlier_ones(cream_wall: Pixels) -> None:
    alpha = full(cream_wall)
    both, composed = carried_out(cream_wall, [("Wall", NAVY, alpha), ("Tile", SAGE, alpha)])
    only, _ = carried_out(cream_wall, [("Tile", SAGE, alpha)])
    assert np.array_equal(both, only)
    assert set(composed.recolored) == {"Tile"}


def test_where_two_paints_meet_nothing_of_the_old_colour_stays() -> None:
    """A soft border shared half and half: laid one over the other, a quarter would be the old."""
    red = np.full((40, 90, 3), (200, 30, 30), np.uint8)
    left = np.tile(np.linspace(255, 0, 90).round().astype(np.uint8), (40, 1))
    grey = [Recolor((120, 120, 120), "x")] * 2
    after, _ = carried_out(red, [("A", grey[0], left), ("B", grey[1], 255 - left)])
    assert np.ptp(after, axis=-1).max() <= 6


def test_a_tone_and_a_recolour_side_by_side(cream_wall: Pixels) -> None:
    left, right = full(cream_wall), full(cream_wall)
    left[:, 240:], right[:, :240] = 0, 0
    dark = Tone(ToneParameters(brightness=-0.5))
    both, _ = carried_out(cream_wall, [("Wall", NAVY, left), ("Trim", dark, right)])
    assert np.array_equal(both[:, :240], carried_out(cream_wall, [("W", NAVY, left)])[0][:, :240])
    assert np.array_equal(both[:, 240:], carried_out(cream_wall, [("T", dark, right)])[0][:, 240:])


def test_a_colour_out_of_reach_is_told(harsh_wall: Pixels) -> None:
    white = Recolor((245, 243, 238), "offwhite_a")
    _, composed = carried_out(harsh_wall, [("Wall", white, full(harsh_wall))])
    (warning,) = composed.warnings
    assert (warning.code, warning.concept) == ("OUT_OF_REACH", "Wall")
    assert "#F5F3EE" in warning.message
    assert composed.recolored["Wall"].out_of_reach


def test_what_is_removed_is_painted_like_the_surface_behind_it(cream_wall: Pixels) -> None:
    """The wall's own cover has a hole where the thing was; its new paint has none."""
    photo = cream_wall.copy()
    photo[150:210, 200:280] = (20, 60, 20)
    thing, wall = full(photo, 0), full(photo)
    thing[150:210, 200:280] = 255
    wall[thing > 0] = 0
    layers = [("Wall", NAVY, wall), ("Plant", Remove(), thing)]
    after, composed = carried_out(photo, layers, hosts={"Wall": wall})
    inside, around = after[155:205, 205:275], after[120:145, 160:320]
    assert np.abs(inside.mean((0, 1)) - around.mean((0, 1))).max() < 12
    assert composed.covers["Wall"].host()[155:205, 205:275].min() > 250
    assert (composed.covers["Plant"].host()[thing > 0] == 255).all()
    assert composed.removed[0].hosts == ("Wall",)


def test_the_proof_compares_and_does_not_assume(cream_wall: Pixels) -> None:
    """A canvas that lets protected pixels be painted over is told on."""

    class Careless(CpuCanvas):
        def spared(self, cover: Cover, shield: Cover) -> Cover:
            return cover

    canvas = Careless(cream_wall)
    whole = canvas.stretch(full(cream_wall))
    composed = compose(canvas, cream_wall, [Layer("Wall", NAVY, whole)], [whole])
    difference = np.abs(canvas.picture().astype(int) - cream_wall)
    assert composed.proof.pixels == cream_wall[..., 0].size
    assert composed.proof.changed == np.count_nonzero(difference.any(-1)) > 0
    assert composed.proof.max_abs_diff == difference.max() > 50


def test_a_protected_wall_behind_what_is_removed_stays(cream_wall: Pixels) -> None:
    photo = cream_wall.copy()
    photo[150:210, 200:280] = (20, 60, 20)
    thing, wall = full(photo, 0), full(photo)
    thing[150:210, 200:280] = 255
    wall[thing > 0] = 0
    after, composed = carried_out(photo, [("Plant", Remove(), thing)], [wall], {"Wall": wall})
    assert np.array_equal(after[wall == 255], photo[wall == 255])
    assert composed.proof.changed == 0
    assert (
        np.abs(after[160:200, 210:270].mean((0, 1)) - cream_wall[150:210].mean((0, 1))).max() < 30
    )


def test_masks_of_another_size_are_stretched_or_refused(cream_wall: Pixels) -> None:
    canvas = CpuBackend().open(cream_wall)
    assert canvas.stretch(np.full((3, 3), 255, np.uint8)).host().shape == cream_wall.shape[:2]
    with pytest.raises(ValueError):
        canvas.stretch(np.zeros((3, 3, 3), np.uint8))
