"""Every kind of photo that is taken, built here, decoded and compared with what it must show."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import IO, cast

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.profiles import DISPLAY_P3, SRGB

HeicWriter = Callable[..., bytes]


def scene(height: int = 60, width: int = 90) -> Pixels:
    """Smooth, so that lossy formats stay close; no symmetry, so that every turn shows."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack((x * 200 + 20, y * 220 + 10, 250 - x * 100 - y * 90), -1).astype(np.uint8)


def saved(pixels: NDArray[np.uint8] | Image.Image, kind: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def differs(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second).max())


@pytest.mark.parametrize(
    ("kind", "options", "most"),
    [
        ("JPEG", {"quality": 95}, 8),
        ("JPEG", {"quality": 95, "progressive": True}, 8),
        ("JPEG", {"quality": 95, "subsampling": 0}, 5),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 8),
    ],
)
def test_formats_by_their_bytes(kind: str, options: dict[str, object], most: int) -> None:
    decoded = decode_image(saved(scene(), kind, **options))
    assert decoded.format == kind.lower()
    assert decoded.warnings == ()
    assert differs(decoded.pixels, scene()) <= most
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous
    assert decoded.pixels.flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_all_exif_orientations(kind: str, orientation: int) -> None:
    upright = scene()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 97} if kind == "JPEG" else {}
    data = saved(np.ascontiguousarray(stored), kind, exif=exif, **options)
    decoded = decode_image(data)
    assert differs(decoded.pixels, upright) <= (6 if kind == "JPEG" else 0)
    assert decoded.pixels.flags.c_contiguous


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_orientation_that_does_not_exist_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert differs(decode_image(saved(scene(), "PNG", exif=exif)).pixels, scene()) == 0


def test_cmyk_jpeg_as_photoshop_writes_it_is_not_inverted() -> None:
    ink = Image.fromarray(scene()).convert("CMYK")
    decoded = decode_image(saved(ink, "JPEG", quality=97))
    assert differs(decoded.pixels, scene()) <= 8


def test_ycck_jpeg() -> None:
    ink = np.ascontiguousarray(255 - np.asarray(Image.fromarray(scene()).convert("CMYK")))
    data = simplejpeg.encode_jpeg(ink, 97, "CMYK", "444")
    assert simplejpeg.decode_jpeg_header(data)[2] == "YCCK"
    assert differs(decode_image(data).pixels, scene()) <= 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_greyscale_becomes_three_equal_channels(kind: str) -> None:
    grey = scene()[..., 0]
    options = {"quality": 97} if kind == "JPEG" else {}
    pixels = decode_image(saved(grey, kind, **options)).pixels
    assert differs(pixels, np.stack([grey] * 3, -1)) <= 4


def test_one_bit_png() -> None:
    bits = Image.fromarray(scene()[..., 0]).convert("1")
    white = np.asarray(bits)
    pixels = decode_image(saved(bits, "PNG")).pixels
    assert np.array_equal(pixels, np.where(white[..., None], 255, 0).repeat(3, 2))


def test_sixteen_bit_grey_png_is_scaled_and_not_clipped() -> None:
    values = np.linspace(0, 65535, 60 * 90).reshape(60, 90).astype(np.uint16)
    pixels = decode_image(saved(Image.fromarray(values), "PNG")).pixels
    assert differs(pixels[..., 1], np.rint(values / 257).astype(np.uint8)) == 0


def test_sixteen_bit_rgb_png() -> None:
    wide = scene().astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    pixels = decode_image(png_of(90, 60, 16, 2, rows)).pixels
    assert differs(pixels, scene()) <= 1


def png_of(width: int, height: int, bits: int, kind: int, rows: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_laid_on_white(kind: str) -> None:
    alpha = np.zeros((60, 90), np.uint8)
    alpha[:, 30:60] = 128
    alpha[:, 60:] = 255
    layered = np.dstack((scene(), alpha))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels = decode_image(saved(layered, kind, **options)).pixels
    assert (pixels[:, :30] == 255).all()
    assert np.array_equal(pixels[:, 60:], scene()[:, 60:])
    half = np.rint(scene()[:, 30:60] * (128 / 255) + 255 * (127 / 255))
    assert differs(pixels[:, 30:60], half.astype(np.uint8)) <= 1


def test_palette_with_transparent_entries() -> None:
    image = Image.fromarray(scene()).quantize(16)
    entries = np.asarray(image)
    pixels = decode_image(saved(image, "PNG", transparency=bytes([0, 255, 0] + [255] * 13))).pixels
    seen = np.asarray(image.convert("RGB"))
    hidden = (entries == 0) | (entries == 2)
    assert (pixels[hidden] == 255).all()
    assert np.array_equal(pixels[~hidden], seen[~hidden])


def test_grey_with_alpha_and_palette_without() -> None:
    grey = Image.fromarray(scene()[..., 0])
    faded = Image.merge("LA", (grey, Image.new("L", grey.size, 0)))
    assert (decode_image(saved(faded, "PNG")).pixels == 255).all()
    coloured = Image.fromarray(scene()).quantize(200)
    shown = np.asarray(coloured.convert("RGB"))
    assert np.array_equal(decode_image(saved(coloured, "PNG")).pixels, shown)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_display_p3_is_converted(kind: str) -> None:
    """P3 (160, 174, 140) is sage #9CAF88, worked out from the primaries and the sRGB curve."""
    flat = np.full((32, 32, 3), (160, 174, 140), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    if kind == "JPEG":
        options = {"quality": 100, "subsampling": 0}
    decoded = decode_image(saved(flat, kind, icc_profile=DISPLAY_P3, **options))
    assert differs(decoded.pixels, np.full((32, 32, 3), (0x9C, 0xAF, 0x88), np.uint8)) <= 2
    assert decoded.warnings == ()


def test_an_srgb_profile_changes_nothing() -> None:
    make = cast(Callable[[str], IO[bytes]], ImageCms.createProfile)  # untyped in Pillow's stubs
    for profile in (SRGB, ImageCms.ImageCmsProfile(make("sRGB")).tobytes()):
        assert (
            differs(decode_image(saved(scene(), "PNG", icc_profile=profile)).pixels, scene()) == 0
        )


@pytest.mark.parametrize("profile", [b"not a profile", SRGB[:200], SRGB[:16] + b"CMYK" + SRGB[20:]])
def test_a_profile_that_does_not_fit_is_a_warning(profile: bytes) -> None:
    decoded = decode_image(saved(scene(), "PNG", icc_profile=profile))
    assert differs(decoded.pixels, scene()) == 0
    assert "profile" in decoded.warnings[0]


def test_an_rgb_profile_on_a_grey_photo() -> None:
    grey = scene()[..., 0]
    pixels = decode_image(saved(grey, "PNG", icc_profile=DISPLAY_P3)).pixels
    assert differs(pixels, np.stack([grey] * 3, -1)) <= 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation_with_a_warning(kind: str) -> None:
    frames = [Image.fromarray(scene()), Image.fromarray(255 - scene())]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    decoded = decode_image(data)
    assert differs(decoded.pixels, scene()) == 0
    assert "first frame" in decoded.warnings[0]


def test_damage_inside_a_jpeg_is_told() -> None:
    data = bytearray(saved(scene(400, 600), "JPEG", quality=95))
    start = data.index(b"\xff\xda") + 2000
    data[start : start + 40] = bytes(40)
    decoded = decode_image(bytes(data))
    assert decoded.pixels.shape == (400, 600, 3)
    assert "damaged" in decoded.warnings[0]


@pytest.mark.parametrize("turns", range(4))
def test_heic_is_upright_already(write_heic: HeicWriter, turns: int) -> None:
    decoded = decode_image(write_heic(scene(), quarter_turns=turns))
    assert decoded.format == "heif"
    assert decoded.warnings == ()
    assert differs(decoded.pixels, np.ascontiguousarray(np.rot90(scene(), turns))) <= 4
    assert decoded.pixels.flags.writeable


@pytest.mark.parametrize("tag", [{"icc": DISPLAY_P3}, {"primaries": 12}])
def test_heic_in_display_p3(write_heic: HeicWriter, tag: dict[str, object]) -> None:
    """By profile as Apple's phones do, by number (ITU-T H.273) as others."""
    flat = np.full((32, 48, 3), (160, 174, 140), np.uint8)
    pixels = decode_image(write_heic(flat, **tag)).pixels
    assert differs(pixels, np.full((32, 48, 3), (0x9C, 0xAF, 0x88), np.uint8)) <= 3


def test_an_hdr_heic_is_told(write_heic: HeicWriter) -> None:
    assert "HDR" in decode_image(write_heic(scene(), transfer=16)).warnings[0]


def test_the_exif_orientation_of_a_heic_is_not_applied_again(write_heic: HeicWriter) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = write_heic(scene(), metadata=(b"Exif", bytes(4) + exif.tobytes()))
    assert decode_image(data).pixels.shape == scene().shape
