"""Every backend gives what the formulas of the interface give, but for one level."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.backends.base import Canvas, Edges, FillBrush, PixelBackend
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.backends.tensors import TensorBackend
from tests.gpu_handler.backends.reference import ReferenceBackend
from tests.gpu_handler.backends.scenes import SHAPES, Shape, brushes, cover, logits, photo

BACKENDS: dict[str, Callable[[], PixelBackend]] = {
    "cpu": CpuBackend,
    "torch-cpu": lambda: TensorBackend("cpu"),
    "torch-cuda": lambda: TensorBackend("cuda"),
}
NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name == "torch-cuda" and not torch.cuda.is_available(), reason="no GPU"
        ),
    )
    for name in BACKENDS
]
HERE = [name for name in BACKENDS if name != "torch-cuda" or torch.cuda.is_available()]


def apart(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    assert first.shape == second.shape
    assert first.dtype == second.dtype == np.uint8
    return int(np.abs(first.astype(int) - second).max())


def opened(name: str, shape: Shape) -> tuple[Canvas, Canvas]:
    pixels = photo(shape)
    return BACKENDS[name]().open(pixels), ReferenceBackend().open(pixels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("edges", list(Edges))
@pytest.mark.parametrize("shape", [(300, 517), (131, 97), (3, 5), (1, 37)])
def test_masks(name: str, edges: Edges, shape: Shape) -> None:
    for grid in ((72, 72), (40, 90), (2, 3), (1, 1)):
        made = BACKENDS[name]().open(photo(shape)).refine(logits(grid), edges)
        assert apart(made.host(), expected_mask(shape, grid, edges)) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_large_photo_whose_guide_is_shrunk(name: str) -> None:
    shape, grid = (1013, 1207), (288, 288)
    made = BACKENDS[name]().open(photo(shape)).refine(logits(grid))
    assert apart(made.host(), expected_mask(shape, grid, Edges.FINE)) <= 1


@cache
def expected_mask(shape: Shape, grid: Shape, edges: Edges) -> NDArray[np.uint8]:
    return ReferenceBackend().open(photo(shape)).refine(logits(grid), edges).host()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_brushes(name: str, shape: Shape) -> None:
    for kind in brushes(shape):
        assert apart(painted(BACKENDS[name](), shape, kind), expected(shape, kind)) <= 1, kind


@cache
def expected(shape: Shape, kind: str) -> NDArray[np.uint8]:
    return painted(ReferenceBackend(), shape, kind)


def painted(backend: PixelBackend, shape: Shape, kind: str) -> NDArray[np.uint8]:
    canvas = backend.open(photo(shape))
    canvas.paint(canvas.stretch(cover(shape)), brushes(shape)[kind])
    return canvas.picture()


@pytest.mark.parametrize("name", NAMES)
def test_brushes_read_the_photo_and_lie_over_what_was_painted(name: str) -> None:
    shape = (64, 64)
    known = brushes(shape)
    for kind, brush in known.items():
        made, truth = opened(name, shape)
        for canvas in (made, truth):
            canvas.paint(canvas.stretch(np.full(shape, 255, np.uint8)), known["texture, tiny"])
            canvas.paint(canvas.stretch(cover(shape)), brush)
        assert apart(made.picture(), truth.picture()) <= 1, kind


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_covers(name: str, shape: Shape) -> None:
    made, truth = opened(name, shape)
    told: list[list[NDArray[np.uint8]]] = []
    for canvas in (made, truth):
        covers = [canvas.stretch(cover(shape, seed)) for seed in range(3)]
        shield = canvas.stretch(cover((4, 3), 9))
        told.append(
            [
                shield.host(),
                canvas.union(covers).host(),
                canvas.spared(covers[0], shield).host(),
                *(share.host() for share in canvas.divided(covers)),
                *(canvas.small_cover(covers[1], side) for side in (1, 17, 4000)),
            ]
        )
    for mine, theirs in zip(*told, strict=True):
        assert apart(mine, theirs) <= 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(300, 517), (64, 64), (1, 37)])
def test_covers_go_on_over_holes(name: str, shape: Shape) -> None:
    for brush in brushes(shape).values():
        if isinstance(brush, FillBrush):
            carried = [
                canvas.carried(
                    canvas.stretch(cover(shape, 1)), canvas.stretch(cover(shape, 2)), brush
                ).host()
                for canvas in opened(name, shape)
            ]
            assert apart(*carried) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_samples_small_pictures_and_the_proof(name: str) -> None:
    shape = (300, 517)
    made, truth = opened(name, shape)
    brush = brushes(shape)["table"]
    for canvas in (made, truth):
        canvas.paint(canvas.stretch(cover(shape)), brush)
        canvas.settle()
        canvas.paint(canvas.stretch(cover(shape, 5)), brush)
    for seed in (1, 7):
        for painted in (False, True):
            mine, theirs = (
                canvas.samples(canvas.stretch(cover(shape, seed)), painted=painted)
                for canvas in (made, truth)
            )
            assert apart(mine, theirs) <= 2  # brushes were laid twice
    none = np.zeros(shape, np.uint8)
    assert made.samples(made.stretch(none)).shape == (0, 3)
    assert apart(made.small(100, painted=True), truth.small(100, painted=True)) <= 2
    proofs = [c.proof(c.stretch(cover(shape, 8))) for c in (made, truth)]
    assert proofs[0].pixels == proofs[1].pixels
    assert abs(proofs[0].changed - proofs[1].changed) <= 0.01 * proofs[0].pixels
    assert abs(proofs[0].max_abs_diff - proofs[1].max_abs_diff) <= 2
    assert apart(made.picture(), truth.picture()) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_plans_are_made_on_the_same_small_picture_whatever_the_backend(name: str) -> None:
    pixels = photo((301, 517))
    canvas = BACKENDS[name]().open(pixels)
    for side in (64, 256, 1008):
        assert np.array_equal(canvas.small(side), CpuBackend().open(pixels).small(side))


@given(
    shape=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    kind=st.sampled_from(sorted(brushes((20, 20)))),
    name=st.sampled_from(HERE),
    seed=st.integers(0, 999),
)
@settings(max_examples=120, deadline=None)
def test_cover_0_stays_cover_255_is_replaced_and_what_is_shielded_stays(
    shape: Shape, kind: str, name: str, seed: int
) -> None:
    known = brushes(shape)
    if kind not in known:
        return
    pixels = photo(shape, seed)
    alpha, shield = cover(shape, seed), cover(shape, seed + 1)
    canvas = BACKENDS[name]().open(pixels)
    shielded = canvas.stretch(shield)
    left = canvas.spared(canvas.stretch(alpha), shielded)
    canvas.paint(left, known[kind])
    after, applied = canvas.picture(), left.host()
    assert not applied[(alpha == 0) | (shield >= 128)].any()
    assert np.array_equal(after[applied == 0], pixels[applied == 0])
    assert canvas.proof(shielded).changed == 0
    whole = BACKENDS[name]().open(pixels)
    whole.paint(whole.stretch(np.full(shape, 255, np.uint8)), known[kind])
    assert np.array_equal(after[applied == 255], whole.picture()[applied == 255])


@given(seed=st.integers(0, 999), count=st.integers(1, 4), name=st.sampled_from(HERE))
@settings(max_examples=60, deadline=None)
def test_divided_covers_sum_up(seed: int, count: int, name: str) -> None:
    """Laid one after the other, each has its share, and later ones theirs in full."""
    shape = (13, 17)
    canvas = BACKENDS[name]().open(photo(shape))
    alphas = [cover(shape, seed + k) for k in range(count)]
    shares = canvas.divided([canvas.stretch(alpha) for alpha in alphas])
    left, weights = np.ones(shape), list[NDArray[np.float64]]()
    for share in reversed(shares):
        weights.insert(0, left * share.host() / 255)
        left = left * (1 - share.host() / 255)
    assert np.abs(weights[-1] * 255 - alphas[-1]).max() < 0.01
    total = np.minimum(255, np.sum([alpha.astype(float) for alpha in alphas], 0))
    assert np.abs(np.sum(weights, 0) * 255 - total).max() < 3


@pytest.mark.parametrize("name", NAMES)
def test_photos_side_by_side_do_not_disturb_each_other(name: str) -> None:
    backend = BACKENDS[name]()
    shape = (101, 157)

    def work(seed: int) -> NDArray[np.uint8]:
        canvas = backend.open(photo(shape, seed))
        for brush in brushes(shape).values():
            canvas.paint(canvas.stretch(cover(shape, seed)), brush)
        return canvas.picture()

    alone = [work(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, range(4)))
    for mine, theirs in zip(alone, together, strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_the_photo_is_only_read_and_what_is_none_is_refused(name: str) -> None:
    pixels = photo((40, 50))
    before = pixels.copy()
    pixels.setflags(write=False)
    canvas = BACKENDS[name]().open(pixels)
    canvas.paint(canvas.stretch(cover((40, 50))), brushes((40, 50))["table"])
    result = canvas.picture()
    result[:] = 0
    assert np.array_equal(pixels, before)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError):
            BACKENDS[name]().open(wrong)
    with pytest.raises(ValueError):
        canvas.stretch(np.zeros((3, 3, 3), np.uint8))
