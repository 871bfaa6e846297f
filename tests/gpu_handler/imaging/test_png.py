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
    """All chunks, their lengths and checksums verified by zlib, which did not write them."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, list[tuple[bytes, bytes]]()
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        assert len(body) == length < 1 << 31
        assert zlib.crc32(kind + body) == int.from_bytes(data[at + 8 + length : at + 12 + length])
        found.append((kind, body))
        at += 12 + length
    assert at == len(data)
    return found


def verified(data: bytes, width: int, height: int, bits: int, kind: int, filter_: int) -> Bytes:
    """(height, bytes) as they are filtered, once all that holds them is right (W3C PNG, 5)."""
    found = chunks(data)
    names = [name for name, _ in found]
    assert names == [b"IHDR", b"sRGB", *[b"IDAT"] * (len(names) - 3), b"IEND"]
    assert found[0][1] == struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    assert found[1][1] == b"\0"
    assert found[-1][1] == b""
    stream = b"".join(body for name, body in found if name == b"IDAT")
    assert int.from_bytes(stream[:2]) % 31 == 0
    assert stream[0] & 15 == 8
    assert stream[0] >> 4 == 7
    assert not stream[1] & 0x20
    packed = zlib.decompressobj(-15)
    rows = packed.decompress(stream[2:]) + packed.flush()
    assert packed.eof
    assert packed.unused_data == zlib.adler32(rows).to_bytes(4)
    samples = 3 if kind == 2 else 1
    table = np.frombuffer(rows, np.uint8).reshape(height, 1 + (width * samples * bits + 7) // 8)
    assert (table[:, 0] == filter_).all()
    return table[:, 1:]


def content(shape: tuple[int, ...], kind: str, seed: int) -> Bytes:
    """Noise deflates to more than it was, runs to nearly nothing."""
    if kind == "noise":
        return noise(shape, seed)
    ramp = np.arange(int(np.prod(shape))) // (7 + seed) % 251
    return (ramp if kind == "ramp" else ramp * 0 + seed).astype(np.uint8).reshape(shape)


CONTENTS = st.sampled_from(("noise", "ramp", "flat"))


@given(size=SIZES, kind=CONTENTS, seed=st.integers(0, 9), grey=st.booleans(),
       threads=st.integers(1, 5))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_every_part_of_the_file_is_right(
    size: tuple[int, int], kind: str, seed: int, grey: bool, threads: int
) -> None:
    pixels = content(size if grey else (*size, 3), kind, seed)
    data = encode_png(pixels, threads)
    rows = verified(data, size[1], size[0], 8, 0 if grey else 2, filter_=2)
    assert np.array_equal(np.cumsum(rows, axis=0, dtype=np.uint8).reshape(pixels.shape), pixels)
    assert len([1 for name, _ in chunks(data) if name == b"IDAT"]) == min(threads, size[0])
    assert np.array_equal(by_pillow(data), pixels)
    assert np.array_equal(by_opencv(data), pixels)


@given(size=SIZES, kind=CONTENTS, seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_every_part_of_a_mask_is_right(size: tuple[int, int], kind: str, seed: int) -> None:
    alpha = content(size, kind, seed)
    rows = verified(encode_mask_png(alpha), size[1], size[0], 8, 0, filter_=0)
    assert np.array_equal(rows, alpha)
    bits = verified(encode_mask_png(alpha, 1), size[1], size[0], 1, 0, filter_=0)
    assert np.array_equal(np.unpackbits(bits, axis=1)[:, : size[1]], alpha >= 128)


@pytest.mark.parametrize("shape", [(1, 30_000, 3), (30_000, 1, 3), (30_000, 1), (1, 70_001)])
@pytest.mark.parametrize("threads", [1, 3])
def test_adversarial_sizes(shape: tuple[int, ...], threads: int) -> None:
    pixels = noise(shape, 4)
    data = encode_png(pixels, threads)
    verified(data, shape[1], shape[0], 8, 2 if len(shape) == 3 else 0, filter_=2)
    assert np.array_equal(by_opencv(data), pixels)


def test_a_picture_of_several_strips_and_several_chunks() -> None:
    """Above a mebibyte rows go to deflate in strips; the row above a strip is in the one before."""
    pixels = noise((1000, 1300, 3), 6)
    for threads in (1, 2, 4):
        data = encode_png(pixels, threads)
        verified(data, 1300, 1000, 8, 2, filter_=2)
        assert np.array_equal(by_pillow(data), pixels)
        assert np.array_equal(by_opencv(data), pixels)


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
