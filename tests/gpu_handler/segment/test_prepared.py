"""The classical engine answers a prepared photo as it answers the photo itself."""

import numpy as np
import pytest

from gpu_handler.segment.base import Segmenter
from gpu_handler.segment.classical import ClassicalSegmenter
from shared.presets import INTERIOR
from tests.gpu_handler.segment.scenes import room

ENGINE: Segmenter = ClassicalSegmenter()


def test_a_prepared_photo_is_answered_as_the_photo_is() -> None:
    small, _ = room((214, 200, 180), (170, 120, 80))
    photo = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    prepared = ENGINE.prepare(photo)
    assert prepared.nbytes < photo.nbytes / 3
    wanted = [c for c in INTERIOR.concepts if c.id in {"Wall", "Floor", "Window", "Tile"}]
    before, after = ENGINE.segment([photo, prepared], [wanted, wanted])
    assert any(answer.found for answer in before)
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.logits, other.logits)
        assert [i.box for i in one.instances] == [i.box for i in other.instances]


@pytest.mark.parametrize("shape", [(1, 1), (1, 8000), (8000, 1), (513, 700), (1025, 1023)])
def test_preparing_twice_changes_nothing(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    once = ENGINE.prepare(photo)
    assert once.flags.c_contiguous
    assert max(once.shape) <= 512
    assert np.array_equal(ENGINE.prepare(once), once)
    assert np.array_equal(ENGINE.prepare(photo[::-1]), ENGINE.prepare(photo[::-1].copy()))
