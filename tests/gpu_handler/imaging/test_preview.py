"""Previews: their size, and that nothing of a photo's metadata gets into any output."""

import io

import numpy as np
import pytest
from PIL import Image

from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.png import encode_mask_png, encode_png
from gpu_handler.imaging.preview import encode_preview
from gpu_handler.imaging.profiles import DISPLAY_P3


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3000, 2000), (1600, 1067)),
        ((500, 4000), (200, 1600)),
        ((1601, 10), (1600, 10)),
        ((1600, 1600), (1600, 1600)),
        ((33, 17), (33, 17)),
        ((1, 1), (1, 1)),
        ((30000, 1), (1600, 1)),
    ],
)
def test_longest_side(size: tuple[int, int], expected: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), (200, 120, 40), np.uint8)
    preview = Image.open(io.BytesIO(encode_preview(pixels)))
    assert preview.size == expected
    assert preview.format == "JPEG"
    middle = np.asarray(preview)[expected[1] // 2, expected[0] // 2]
    assert np.abs(middle.astype(int) - (200, 120, 40)).max() <= 3


def test_a_preview_looks_like_its_photo() -> None:
    y, x = np.mgrid[0:900, 0:1300]
    pixels = np.stack((x * 255 // 1300, y * 255 // 900, 255 - x * 255 // 1300), -1).astype(np.uint8)
    preview = np.asarray(Image.open(io.BytesIO(encode_preview(pixels, 400, 90))))
    expected = np.asarray(Image.fromarray(pixels).resize((400, 277), Image.Resampling.BOX))
    assert preview.shape == expected.shape
    assert np.abs(preview.astype(int) - expected).mean() < 2


def test_no_output_carries_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRETCAMERA"
    exif.get_ifd(0x8825).update({1: "N", 2: (37.0, 33.0, 58.7), 29: "2024:01:01"})
    file = io.BytesIO()
    photo = Image.fromarray(np.full((64, 64, 3), 90, np.uint8))
    photo.save(file, "JPEG", exif=exif, icc_profile=DISPLAY_P3, comment=b"SECRETCOMMENT")
    assert Image.open(file).getexif().get_ifd(0x8825)
    pixels = decode_image(file.getvalue()).pixels
    for data in (encode_png(pixels), encode_preview(pixels), encode_mask_png(pixels[..., 0])):
        image = Image.open(io.BytesIO(data))
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "srgb"}
        for word in (b"SECRET", b"Exif", b"GPS", b"http", b"ICC"):
            assert word not in data
