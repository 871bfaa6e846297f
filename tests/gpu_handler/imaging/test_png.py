"""Our PNG writer against two independent readers, chunk by chunk."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gpu_handler.imaging.png import encode_mask_png, encode_png

Bytes = NDArray[np.uint8]

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(shape: tuple[int, ...], seed: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def by_pillow(data: bytes) -> Bytes:
    return np.asarray(Image.open(io.BytesIO(data)))


def by_opencv(data: bytes) -> Bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels if pixels.ndim == 2 else pixels[..., ::-1], np.uint8)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """All chunks, their checksums verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, list[tuple[bytes, bytes]]()
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == int.from_bytes(data[at + 8 + length : at + 12 + length])
        found.append((kind, body))
        at += 12 + length
    return found


@given(size=SIZES, seed=st.integers(0, 9), grey=st.booleans())
@settings(max_examples=60, deadline=None)
def test_round_trip(size: tuple[int, int], seed: int, grey: bool) -> None:
    pixels = noise(size if grey else (*size, 3), seed)
    data = encode_png(pixels)
    assert np.array_equal(by_pillow(data), pixels)
    assert np.array_equal(by_opencv(data), pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 999, 3), (777, 1), (301, 257, 3)])
def test_odd_shapes(shape: tuple[int, ...]) -> None:
    assert np.array_equal(by_pillow(encode_png(noise(shape, 1))), noise(shape, 1))


def test_a_view_with_strides_of_its_own() -> None:
    turned = noise((40, 30, 3), 2)[::-2, ::2]
    assert np.array_equal(by_pillow(encode_png(turned)), turned)


def test_nothing_but_pixels_is_written() -> None:
    found = chunks(encode_png(noise((20, 30, 3), 3)))
    assert [kind for kind, _ in found] == [b"IHDR", b"sRGB", b"IDAT", b"IEND"]
    assert len(zlib.decompress(found[2][1])) == 20 * (1 + 30 * 3)


@given(size=SIZES, seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_masks_of_eight_bits_and_of_one(size: tuple[int, int], seed: int) -> None:
    alpha = noise(size, seed)
    assert np.array_equal(by_opencv(encode_mask_png(alpha)), alpha)
    assert np.array_equal(by_pillow(encode_mask_png(alpha, 1)), alpha >= 128)
    assert len(chunks(encode_mask_png(alpha, 1))) == 4


def test_smooth_pictures_become_small() -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    assert len(encode_png(ramp)) < ramp.size / 50


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 5, 4), (5,), (2, 2, 2, 3)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        encode_png(np.zeros(shape, np.uint8))


def test_what_is_no_mask_is_refused() -> None:
    for shape in ((0, 5), (5, 5, 3)):
        with pytest.raises(ValueError):
            encode_mask_png(np.zeros(shape, np.uint8))
