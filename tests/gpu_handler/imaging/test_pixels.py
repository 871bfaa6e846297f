"""Tiles, and maps that are stretched over them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_handler.imaging.pixels import enlarge, shrink, tiles

SIDES = st.tuples(st.integers(1, 70), st.integers(1, 70))


@given(shape=SIDES, side=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_tiles_cover_every_pixel_once(shape: tuple[int, int], side: int) -> None:
    seen = np.zeros(shape, int)
    for tile in tiles(shape, side):
        assert seen[tile].size > 0
        seen[tile] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("small", [(1, 1), (3, 5), (9, 7)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_stretched_tiles_are_the_whole_map_resized(
    small: tuple[int, int], channels: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).random((*small, *channels), np.float32)
    whole = cv2.resize(values, (90, 70), interpolation=cv2.INTER_LINEAR)
    for tile in tiles((70, 90), 32):
        assert enlarge(values, (70, 90), tile) == pytest.approx(whole[tile], abs=0.02)


@given(shape=SIDES, longest=st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_shrinking_keeps_the_mean_and_never_enlarges(shape: tuple[int, int], longest: int) -> None:
    pixels = np.full((*shape, 3), 77, np.uint8)
    small = shrink(pixels, longest)
    assert max(small.shape[:2]) == min(max(shape), longest)
    assert (small == 77).all()
