"""Display P3 and its kin: known colours, worked out from primaries and curves in float64."""

import io
from collections.abc import Callable
from typing import IO, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gpu_handler.imaging.color import linear_to_oklab, linear_to_srgb, srgb_to_linear
from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.icc import find_conversion
from gpu_handler.imaging.matrix import MatrixConversion, read_matrix_profile
from gpu_handler.imaging.profiles import DISPLAY_P3, SRGB
from tests.fuzz.seeds import saved
from tests.gpu_handler.imaging.heic import write_heic

# CSS Color 4, 17: linear Display P3 to XYZ under D65, and linear sRGB from it.
P3_TO_XYZ = np.array(
    (
        (0.4865709486, 0.2656676932, 0.1982172852),
        (0.2289745641, 0.6917385218, 0.0792869141),
        (0.0, 0.0451133819, 1.0439443689),
    )
)
SRGB_TO_XYZ = np.array(
    (
        (0.4123907993, 0.3575843394, 0.1804807884),
        (0.2126390059, 0.7151686788, 0.0721923154),
        (0.0193308187, 0.1191947798, 0.9505321522),
    )
)
P3_TO_SRGB = np.linalg.inv(SRGB_TO_XYZ) @ P3_TO_XYZ


def in_light(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linear sRGB of P3 colours, beyond 0..1 where sRGB does not hold them."""
    light = srgb_to_linear(colours.astype(np.float64) / 255)
    return np.asarray(light @ P3_TO_SRGB.T, np.float64)


def expected(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(linear_to_srgb(in_light(colours).clip(0, 1)) * 255, np.float64)


def patches(size: int = 16) -> NDArray[np.uint8]:
    """Flat squares, so that chroma at half the size does no harm: a cube of 6 x 6 x 6 colours."""
    steps = np.linspace(0, 255, 6).round()
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(18, 12, 3).astype(np.uint8)
    return cube.repeat(size, 0).repeat(size, 1)


def middles(pixels: NDArray[np.uint8], size: int = 16) -> NDArray[np.uint8]:
    return pixels[size // 2 :: size, size // 2 :: size].reshape(-1, 3)


def test_every_colour_in_a_png_within_a_level() -> None:
    colours = patches(1)
    found = decode_image(saved(colours, "PNG", icc_profile=DISPLAY_P3)).pixels
    assert np.abs(found - expected(colours)).max() < 1.01


def test_jpeg_and_heic_as_exactly_as_their_own_rounding_allows() -> None:
    """The same file without its profile says what the format itself made of the colours."""
    colours = patches()
    pairs = [
        [
            saved(colours, "JPEG", quality=100, icc_profile=profile)
            for profile in (DISPLAY_P3, None)
        ],
        [write_heic(colours, icc=profile) for profile in (DISPLAY_P3, None)],
    ]
    for tagged, plain in pairs:
        found, stored = (middles(decode_image(data).pixels) for data in (tagged, plain))
        assert np.abs(found - expected(stored)).max() < 1.01
        assert np.abs(stored.astype(int) - middles(colours)).max() <= 4


def test_colours_beyond_srgb_keep_their_kind() -> None:
    """Clipped, they may lose chroma; the order of the channels and nearly the hue stay."""
    colours = patches(1)
    light = in_light(colours).reshape(-1, 3)
    beyond = ((light < -0.002) | (light > 1.002)).any(1)
    found = decode_image(saved(colours, "PNG", icc_profile=DISPLAY_P3)).pixels.reshape(-1, 3)
    assert beyond.sum() > 60
    truth, seen = light[beyond], found[beyond].astype(int)
    for first, second in ((0, 1), (1, 2), (0, 2)):
        assert (seen[truth[:, first] > truth[:, second]] @ np.eye(3)[[first, second]].T
                @ (1, -1) >= 0).all()  # fmt: skip
    real, shown = linear_to_oklab(truth), linear_to_oklab(srgb_to_linear(seen / 255))
    turned = np.degrees(np.arctan2(real[:, 2], real[:, 1]) - np.arctan2(shown[:, 2], shown[:, 1]))
    assert np.abs((turned + 180) % 360 - 180).max() < 15


def by_lcms(pixels: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    source, target = (ImageCms.ImageCmsProfile(io.BytesIO(p)) for p in (profile, SRGB))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, target, "RGB", "RGB", intent)
    made = ImageCms.applyTransform(Image.fromarray(pixels), transform)
    assert made is not None
    return np.asarray(made)


def curved(curve: bytes) -> bytes:
    """Display P3 with another curve: its tags point at the end of the profile."""
    data = bytearray(DISPLAY_P3 + curve)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        at = data.index(name)
        data[at + 4 : at + 12] = len(DISPLAY_P3).to_bytes(4) + len(curve).to_bytes(4)
    data[:4] = len(data).to_bytes(4)
    return bytes(data)


def points(values: NDArray[np.float64]) -> bytes:
    body = np.rint(values * 65535).astype(">u2").tobytes()
    return b"curv" + bytes(4) + (len(body) // 2).to_bytes(4) + body


CURVES = {
    "as Apple writes it": DISPLAY_P3,
    "gamma as one number": curved(
        b"curv" + bytes(4) + (1).to_bytes(4) + (563).to_bytes(2) + b"\0\0"
    ),
    "none": curved(b"curv" + bytes(8)),
    "a table": curved(points(np.linspace(0, 1, 1024) ** 1.8)),
    "a parametric gamma": curved(b"para" + bytes(8) + round(2.2 * 65536).to_bytes(4)),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_fast_way_agrees_with_lcms(name: str) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (100, 100, 3), np.uint8)
    conversion = read_matrix_profile(CURVES[name])
    assert conversion is not None
    fast = pixels.copy()
    conversion.apply(fast)
    assert np.abs(fast.astype(int) - by_lcms(pixels, CURVES[name])).max() <= 1
    assert isinstance(find_conversion(CURVES[name], "RGB")[0], MatrixConversion)


def test_other_profiles_stay_with_lcms() -> None:
    create = cast(Callable[[str], IO[bytes]], ImageCms.createProfile)  # untyped in Pillow's stubs
    assert read_matrix_profile(ImageCms.ImageCmsProfile(create("LAB")).tobytes()) is None
    assert find_conversion(SRGB, "RGB") == (None, None)
    assert find_conversion(SRGB, "L") == (None, None)


def test_broken_tables_are_refused_by_the_fast_way() -> None:
    noise = np.random.default_rng(9)
    for _ in range(300):
        data = bytearray(DISPLAY_P3)
        for at in noise.integers(128, len(data), 4):
            data[at] = int(noise.integers(256))
        conversion = read_matrix_profile(bytes(data))
        if conversion is not None:
            conversion.apply(np.zeros((2, 2, 3), np.uint8))
