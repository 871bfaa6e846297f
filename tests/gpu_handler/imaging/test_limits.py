"""What decoding costs: memory, time, and that other threads go on meanwhile."""

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpu_handler.imaging.decode import ImageError, ImageErrorCode, decode_image
from gpu_handler.imaging.limits import MEMORY_PER_PIXEL
from tests.fuzz.seeds import saved, scene
from tests.gpu_handler.imaging.heic import write_grid, write_heic

ROOT = Path(__file__).parents[3]


def refusal(data: bytes) -> ImageErrorCode:
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    return caught.value.code


def test_no_kind_of_file_takes_more_memory_than_the_bound() -> None:
    """4 megapixels, so that 16 MiB beside the pixels do not hide a needless copy."""
    command = [sys.executable, "-m", "tests.gpu_handler.imaging.peaks", "4"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in told.splitlines()]
    assert len(rows) == 11
    for kind, outcome, pixels, grown, *_ in rows:
        assert outcome == "image", kind
        assert int(grown) <= int(pixels) * MEMORY_PER_PIXEL + (16 << 20), kind
        assert int(grown) >= int(pixels) * 3, "measured nothing"


def _grey_with_alpha() -> bytes:
    pixels = scene(1600, 1200)
    return saved(np.dstack((pixels, pixels[..., 0])), "WEBP", method=0)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
def test_other_threads_go_on_while_a_photo_is_decoded(kind: str) -> None:
    make: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: saved(scene(3000, 2000), "JPEG", progressive=True, quality=95),
        "png": lambda: saved(scene(2000, 1500), "PNG", compress_level=1),
        "webp": _grey_with_alpha,
        "heic": lambda: write_grid([scene(512, 512)] * 16, 4, (2048, 2048)),
    }
    data = make[kind]()
    assert max(_ticks_while(data) for _ in range(3)) >= 6


def _ticks_while(data: bytes) -> int:
    """Milliseconds slept through here during a decoding in another thread."""
    worker, ticks = threading.Thread(target=decode_image, args=(data,)), 0
    worker.start()
    while worker.is_alive():
        time.sleep(0.001)
        ticks += 1
    return ticks


def test_scans_are_limited_by_what_they_cost() -> None:
    small, large = (_progressive(*size) for size in ((64, 64), (6400, 4800)))
    assert decode_image(_more_scans(small, 80)).pixels.shape == (64, 64, 3)
    assert refusal(_more_scans(small, 200)) == ImageErrorCode.IMAGE_CORRUPT
    assert refusal(_more_scans(large, 40)) == ImageErrorCode.IMAGE_CORRUPT


def test_scans_behind_a_false_end_are_counted_too() -> None:
    comment = b"\xff\xfe\0\4\xff\xd9"
    data = _more_scans(_progressive(64, 64), 200, comment)
    assert refusal(data) == ImageErrorCode.IMAGE_CORRUPT


def _progressive(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "tan").save(file, "JPEG", progressive=True)
    return file.getvalue()


def _more_scans(data: bytes, more: int, between: bytes = b"") -> bytes:
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + between + data[scan:-2] * (more + 1) + data[-2:]


def test_a_grid_of_many_tiles_for_a_small_picture() -> None:
    """libheif decodes them all: without a limit 34 s and 4 GB for 6 MB of these."""
    tile = np.full((512, 512, 3), 90, np.uint8)
    assert refusal(write_grid([tile] * 400, 20, (64, 64))) == ImageErrorCode.IMAGE_TOO_LARGE
    assert decode_image(write_grid([tile] * 4, 2, (1000, 900))).pixels.shape == (900, 1000, 3)


def test_a_stream_larger_than_its_header_says() -> None:
    data = write_heic(np.full((64, 64, 3), 90, np.uint8), coded_size=(16_384, 16_384))
    assert refusal(data) == ImageErrorCode.IMAGE_CORRUPT


def test_an_animation_frame_smaller_than_its_canvas_lies_on_white() -> None:
    file, frame = io.BytesIO(), Image.new("RGB", (40, 30), (200, 30, 30))
    frame.save(file, "WEBP", save_all=True, append_images=[frame.rotate(90)], lossless=True)
    data = bytearray(file.getvalue())
    data[24:30] = (99).to_bytes(3, "little") + (79).to_bytes(3, "little")
    at = data.index(b"ANMF") + 8
    data[at : at + 6] = (5).to_bytes(3, "little") + (10).to_bytes(3, "little")
    pixels = decode_image(bytes(data)).pixels
    assert pixels.shape == (80, 100, 3)
    assert (pixels[20:50, 10:50] == (200, 30, 30)).all()
    assert pixels.min(axis=2).sum() == (80 * 100 - 40 * 30) * 255 + 40 * 30 * 30
