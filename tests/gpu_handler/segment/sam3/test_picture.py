"""The picture is what torch's own antialiased resize makes of the photo, bit for bit."""

import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gpu_handler.segment.sam3.picture import prepare_picture

Photo = NDArray[np.uint8]

LENGTHS = st.integers(1, 300)
SIDES = st.integers(2, 120)  # torch itself fails on planes that become a single pixel


def noise(height: int, width: int, seed: int = 0) -> Photo:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def documented(photo: Photo, side: int) -> Photo:
    """The resize of the published pre-processing, on planes as it is given them there."""
    planes = torch.tensor(photo).permute(2, 0, 1)[None].contiguous()
    small = F.interpolate(planes, (side, side), mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0).contiguous().numpy()


@given(LENGTHS, LENGTHS, SIDES, st.integers(0, 2**32 - 1))
@example(1, 1, 112, 0)
@example(1, 8000, 112, 0)
@example(8000, 1, 112, 0)
@example(1, 8000, 1008, 0)
@example(113, 111, 112, 0)
@settings(max_examples=60)
def test_every_shape_comes_out_as_documented(height: int, width: int, side: int, seed: int) -> None:
    photo = noise(height, width, seed)
    kept = photo.copy()
    picture = prepare_picture(photo, side)
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert np.array_equal(picture, documented(photo, side))
    assert np.array_equal(photo, kept)


@given(LENGTHS, LENGTHS, SIDES)
@settings(max_examples=20)
def test_pillow_agrees_to_a_level(height: int, width: int, side: int) -> None:
    photo = noise(height, width)
    resized = Image.fromarray(photo).resize((side, side), Image.Resampling.BILINEAR)
    difference = prepare_picture(photo, side).astype(int) - np.asarray(resized)
    assert np.abs(difference).max() <= 1


def test_the_largest_photo_comes_out_as_documented() -> None:
    photo = noise(6000, 8000)
    assert np.array_equal(prepare_picture(photo, 1008), documented(photo, 1008))


def test_a_prepared_picture_is_prepared_already() -> None:
    once = prepare_picture(noise(90, 41), 56)
    assert prepare_picture(once, 56) is once


@pytest.mark.parametrize("side", [20, 32])
def test_views_and_read_only_photos_are_read_as_they_look(side: int) -> None:
    whole = noise(64, 96)
    for view in (whole[::2, ::3], whole[::-1], whole[..., ::-1], whole.transpose(1, 0, 2)):
        expected = documented(np.ascontiguousarray(view), side)
        assert np.array_equal(prepare_picture(view, side), expected)
    whole.flags.writeable = False
    assert np.array_equal(prepare_picture(whole, side), documented(whole, side))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_what_is_no_photo_is_refused(wrong: Photo) -> None:
    with pytest.raises(ValueError, match="a photo is"):
        prepare_picture(wrong, 8)


def test_other_threads_run_while_a_photo_is_prepared() -> None:
    photo = noise(6000, 8000)
    done = threading.Event()

    def prepare() -> None:
        for _ in range(8):
            prepare_picture(photo, 1008)
        done.set()

    worker = threading.Thread(target=prepare)
    ticks = 0
    worker.start()
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    worker.join()
    assert ticks > 16  # two for each photo: with the GIL held there would be one, between photos


def test_the_short_normalisation_is_the_documented_one() -> None:
    levels = torch.arange(256, dtype=torch.uint8).float()
    documented_values = (levels / 255 - 0.5) / 0.5
    ours = (levels - 127.5) / 127.5
    # The documented order of steps cancels near the middle: the steps' own rounding is 1 ulp of 1.
    assert (ours - documented_values).abs().max() <= torch.finfo(torch.float32).eps
    exact = (np.arange(256) - 127.5) / 127.5
    assert np.array_equal(ours.numpy(), exact.astype(np.float32))
