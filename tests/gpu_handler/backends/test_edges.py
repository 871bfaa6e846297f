"""Alpha from coarse logits against exact masks of scenes made here."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.backends.base import Edges
from gpu_handler.backends.cpu import CpuBackend

Floats = NDArray[np.float32]

SIDES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def edge_alpha(
    pixels: NDArray[np.uint8], logits: Floats, edges: Edges = Edges.FINE
) -> NDArray[np.uint8]:
    return CpuBackend().open(pixels).refine(logits, edges).host()


def disc(height: int = 900, width: int = 1200) -> NDArray[np.bool_]:
    y, x = np.mgrid[0:height, 0:width]
    return np.hypot(x - width * 0.45, y - height * 0.5) < height * 0.33


def scene(
    mask: NDArray[np.bool_], inside: tuple[int, ...], outside: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Two paints with grain and a gradient of light."""
    light = np.linspace(0.8, 1.1, mask.shape[1])[None, :, None]
    grain = np.random.default_rng(4).normal(0, 3, (*mask.shape, 3))
    paint = np.where(mask[..., None], inside, outside)
    return (paint * light + grain).clip(0, 255).astype(np.uint8)


def coarse(mask: NDArray[np.bool_], grid: tuple[int, int] = (288, 288)) -> Floats:
    """What a segmentation head gives: averaged, blurred, clipped logits on a small grid."""
    small = cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    share = np.clip(cv2.GaussianBlur(small, (0, 0), 0.7), 0.0025, 0.9975)
    return np.log(share / (1 - share)).astype(np.float32)


def bilinear(logits: Floats, shape: tuple[int, int]) -> Floats:
    stretched = cv2.resize(logits, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(1 / (1 + np.exp(-np.asarray(stretched))), np.float32)


def band_error(alpha: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> float:
    """Mean error within 30 pixels of the true edge."""
    edge = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    near = cv2.dilate(edge, np.ones((61, 61), np.uint8)) > 0
    return float(np.abs(alpha - mask)[near].mean())


@pytest.mark.parametrize("grid", [(288, 288), (144, 192), (378, 504)])
def test_edges_follow_the_photo(grid: tuple[int, int]) -> None:
    mask = disc()
    logits = coarse(mask, grid)
    alpha = edge_alpha(scene(mask, (200, 185, 160), (90, 60, 50)), logits)
    ours = band_error(alpha.astype(np.float32) / 255, mask)
    assert ours < 0.5 * band_error(bilinear(logits, mask.shape), mask)
    assert ours < 0.02


def test_no_halo_on_a_black_and_white_step() -> None:
    mask = disc()
    alpha = edge_alpha(
        np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, 2), coarse(mask)
    )
    far = np.ones((5, 5), np.uint8)
    core = cv2.erode(mask.astype(np.uint8), far) > 0
    outside = cv2.dilate(mask.astype(np.uint8), far) == 0
    assert (alpha[core] == 255).all()
    assert (alpha[outside] == 0).all()


def test_certain_pixels_snap() -> None:
    mask = disc()
    alpha = edge_alpha(scene(mask, (200, 185, 160), (90, 60, 50)), coarse(mask))
    assert ((alpha == 0) | (alpha == 255)).mean() > 0.97
    assert abs((alpha >= 128).mean() - mask.mean()) < 0.003


def test_where_both_sides_look_the_same_the_logits_decide() -> None:
    mask = disc()
    alpha = edge_alpha(np.full((*mask.shape, 3), 128, np.uint8), coarse(mask))
    assert band_error((alpha >= 128).astype(np.float32), mask) < 0.03


def test_one_guide_serves_several_masks() -> None:
    mask = disc()
    pixels = scene(mask, (200, 185, 160), (90, 60, 50))
    canvas = CpuBackend().open(pixels)
    for logits in (coarse(mask), coarse(~mask)):
        assert np.array_equal(canvas.refine(logits).host(), edge_alpha(pixels, logits))


def test_soft_edges_are_the_logits_stretched() -> None:
    mask = disc()
    logits = coarse(mask)
    alpha = edge_alpha(scene(mask, (200, 185, 160), (90, 60, 50)), logits, Edges.SOFT)
    assert np.abs(alpha / 255 - bilinear(logits, mask.shape)).max() < 1.6 / 255


@pytest.mark.parametrize("value", [-5.0, -np.inf, np.nan, 0.0])
def test_nothing_inside(value: float) -> None:
    alpha = edge_alpha(np.zeros((30, 40, 3), np.uint8), np.full((8, 8), value, np.float32))
    assert alpha.shape == (30, 40)
    assert not alpha.any()


@pytest.mark.parametrize("value", [0.1, 5.0, np.inf])
def test_everything_inside(value: float) -> None:
    alpha = edge_alpha(np.zeros((30, 40, 3), np.uint8), np.full((8, 8), value, np.float32))
    assert (alpha == 255).all()


@given(size=SIDES, grid=SIDES, seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_any_size_any_grid_any_numbers(
    size: tuple[int, int], grid: tuple[int, int], seed: int
) -> None:
    noise = np.random.default_rng(seed)
    logits = noise.normal(0, 10, grid).astype(np.float32)
    odd = noise.random(grid)
    logits[odd < 0.05], logits[odd > 0.95] = np.nan, np.inf
    with np.errstate(all="raise", under="ignore"):
        alpha = edge_alpha(noise.integers(0, 256, (*size, 3), np.uint8), logits)
    assert alpha.shape == size
    assert alpha.dtype == np.uint8


def test_fine_grids_are_averaged() -> None:
    mask = disc(600, 800)
    pixels = scene(mask, (200, 185, 160), (90, 60, 50))
    alpha = edge_alpha(pixels, coarse(disc(1500, 2000), (1500, 2000)))
    assert band_error(alpha.astype(np.float32) / 255, mask) < 0.02


@pytest.mark.parametrize("shape", [(0, 4), (4,), (4, 4, 1)])
def test_what_is_no_grid_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        edge_alpha(np.zeros((4, 4, 3), np.uint8), np.zeros(shape, np.float32))
