"""Files that are no photos, or lie about being one: each gives a named ImageError, fast."""

import io
import random
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gpu_handler.imaging.decode import MAX_BYTES, ImageError, ImageErrorCode, decode_image
from gpu_handler.imaging.profiles import DISPLAY_P3

HeicWriter = Callable[..., bytes]


def photo(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    noise = np.random.default_rng(5).integers(0, 60, (height, width, 3))
    ramp = np.mgrid[0:height, 0:width].sum(0)[..., None] * 180 // (height + width)
    return (noise + ramp).astype(np.uint8)


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo()).save(file, kind, **options)
    return file.getvalue()


def refusal(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    assert caught.value.message.endswith(".")
    return caught.value


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000), 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(saved("JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_claiming(width: int, height: int) -> bytes:
    """An animated WebP: libwebp allocates its whole canvas when it opens one."""
    file = io.BytesIO()
    frame = Image.fromarray(photo())
    frame.save(file, "WEBP", save_all=True, append_images=[frame.rotate(180)])
    data = bytearray(file.getvalue())
    data[24:27] = (width - 1).to_bytes(3, "little")
    data[27:30] = (height - 1).to_bytes(3, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GIF89a" + bytes(40), "GIF"),
        (b"%PDF-1.7\n" + bytes(40), "PDF"),
        (b'  <SVG xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"<!doctype html><title>404</title>", "web page"),
        (b"BM" + bytes(60), "BMP"),
        (b"II*\0" + bytes(60), "TIFF"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf" + bytes(40), "AVIF"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0avifmif1miaf" + bytes(40), "video or a raw"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40), "video"),
        (b"hello, this is no photo", "something else"),
        (b"\0", "something else"),
        (bytes(1000), "something else"),
    ],
)
def test_other_files_are_named(data: bytes, kind: str) -> None:
    error = refusal(data)
    assert error.code == ImageErrorCode.UNSUPPORTED_IMAGE
    assert kind in error.message


def test_an_empty_file() -> None:
    assert refusal(b"").code == ImageErrorCode.EMPTY_FILE


def test_too_many_bytes() -> None:
    assert refusal(b"\xff\xd8\xff" + bytes(MAX_BYTES)).code == ImageErrorCode.IMAGE_TOO_LARGE


@pytest.mark.parametrize("size", [(60_000, 60_000), (8_000, 6_251), (30_001, 10)])
def test_bombs_are_refused_before_pixels_are_allocated(
    size: tuple[int, int], write_heic: HeicWriter
) -> None:
    files = [jpeg_claiming(*size), png_claiming(*size), write_heic(photo(), claimed=size)]
    files.append(webp_claiming(16_000, 16_000))
    tracemalloc.start()
    for data in files:
        assert refusal(data).code == ImageErrorCode.IMAGE_TOO_LARGE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_a_size_of_nothing_and_one_that_the_pixels_do_not_have(write_heic: HeicWriter) -> None:
    assert refusal(png_claiming(0, 10)).code == ImageErrorCode.IMAGE_CORRUPT
    assert refusal(jpeg_claiming(64, 0)).code == ImageErrorCode.IMAGE_CORRUPT
    assert refusal(png_claiming(4_000, 4_000)).code == ImageErrorCode.IMAGE_TRUNCATED
    assert refusal(write_heic(photo(), claimed=(16, 16))).code == ImageErrorCode.IMAGE_CORRUPT


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC", "progressive JPEG"])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9, 0.99, 0.9999])
def test_cut_off_uploads(kind: str, share: float, write_heic: HeicWriter) -> None:
    match kind:
        case "HEIC":
            data = write_heic(photo())
        case "progressive JPEG":
            data = saved("JPEG", progressive=True)
        case _:
            data = saved(kind)
    error = refusal(data[: int(len(data) * share)])
    assert error.code == ImageErrorCode.IMAGE_TRUNCATED


@pytest.mark.parametrize("length", [1, 2, 3, 8, 20, 30])
def test_a_few_bytes_of_a_photo(length: int, write_heic: HeicWriter) -> None:
    files = [saved("JPEG"), saved("PNG")] + ([write_heic(photo())] if length >= 20 else [])
    for data in files:
        assert refusal(data[:length]).code == ImageErrorCode.IMAGE_TRUNCATED


def test_heic_headers_full_of_garbage() -> None:
    start = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    noise = random.Random(3)
    for _ in range(50):
        body = noise.randbytes(noise.randrange(8, 400))
        meta = struct.pack(">I", len(body) + 8) + b"meta" + body
        refusal(start + meta)


def test_metadata_of_a_type_that_is_no_text_does_not_end_the_process(
    write_heic: HeicWriter,
) -> None:
    data = write_heic(photo(), metadata=(b"E\xd2if", b"something"))
    assert decode_image(data).pixels.shape == photo().shape


def test_a_png_with_a_broken_checksum() -> None:
    data = bytearray(saved("PNG"))
    data[data.index(b"IDAT") + 60] ^= 0xFF
    assert refusal(bytes(data)).code == ImageErrorCode.IMAGE_CORRUPT


def test_a_jpeg_of_countless_scans() -> None:
    """Each of them makes the decoder walk all pixels again: minutes for a few megabytes."""
    data = saved("JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    assert refusal(data[:-2] + data[scan:-2] * 200 + data[-2:]).code == ImageErrorCode.IMAGE_CORRUPT


@pytest.mark.filterwarnings("ignore")  # Pillow warns of broken EXIF data and odd MPO files
def test_mutated_files_give_an_image_or_an_image_error(write_heic: HeicWriter) -> None:
    """300 seeded mutations: bytes changed, cut out, doubled, in files with metadata and profile."""
    exif = Image.Exif()
    exif[0x0112] = 6
    tagged: dict[str, object] = {"exif": exif, "icc_profile": DISPLAY_P3}
    originals = [
        saved("JPEG", **tagged),
        saved("JPEG", progressive=True),
        saved("PNG", **tagged),
        saved("WEBP", **tagged),
        saved("WEBP", lossless=True),
        write_heic(photo(), icc=DISPLAY_P3),
    ]
    noise = random.Random(20)
    outcomes = set[str]()
    for number in range(300):
        outcomes.add(outcome(mutated(originals[number % len(originals)], noise)))
    assert outcomes > {"image", ImageErrorCode.IMAGE_CORRUPT, ImageErrorCode.IMAGE_TRUNCATED}


def outcome(data: bytes) -> str:
    try:
        pixels = decode_image(data).pixels
    except ImageError as error:
        return error.code
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    return "image"


def mutated(data: bytes, noise: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(noise.randrange(1, 6)):
        at = noise.randrange(len(changed))
        match noise.randrange(4):
            case 0:
                changed[at] = noise.randrange(256)
            case 1:
                changed[at] ^= 1 << noise.randrange(8)
            case 2:
                del changed[at : at + noise.randrange(1, 30)]
            case _:
                changed[at:at] = changed[at : at + noise.randrange(1, 30)]
    return bytes(changed)


def test_several_threads_at_once(write_heic: HeicWriter) -> None:
    files = [saved("JPEG"), saved("PNG", icc_profile=DISPLAY_P3), write_heic(photo()), b"text"]
    alone = [outcome_pixels(data) for data in files]
    together: list[bool] = []

    def work() -> None:
        for _ in range(10):
            together.extend(outcome_pixels(d) == a for d, a in zip(files, alone, strict=True))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 160
    assert all(together)


def outcome_pixels(data: bytes) -> bytes | str:
    try:
        return decode_image(data).pixels.tobytes()
    except ImageError as error:
        return error.code
