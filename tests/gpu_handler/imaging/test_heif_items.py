"""The tables of a HEIF, and refusals of those that two readers could understand differently."""

import struct
from pathlib import Path

import numpy as np
import pytest

from gpu_handler.imaging.errors import ImageError, ImageErrorCode
from gpu_handler.imaging.heif_items import check_effort, read_items
from tests.gpu_handler.imaging.heic import write_grid, write_heic

TILE = np.full((64, 64, 3), 90, np.uint8)


def test_a_single_picture_and_one_that_a_common_encoder_wrote() -> None:
    items = read_items(write_heic(TILE))
    assert (items.primary, items.kinds) == (1, {1: b"hvc1", 2: b"Exif"})
    assert items.areas == {1: 64 * 64}
    foreign = read_items((Path(__file__).parents[2] / "data" / "quadrants.heic").read_bytes())
    assert foreign.areas[foreign.primary] == 320 * 240


def test_the_parts_of_a_grid_are_added_up() -> None:
    data = write_grid([TILE] * 6, 3, (190, 120))
    items = read_items(data)
    assert items.parts == {7: [1, 2, 3, 4, 5, 6]}
    check_effort(data, 6 * 64 * 64)
    with pytest.raises(ImageError) as caught:
        check_effort(data, 6 * 64 * 64 - 1)
    assert caught.value.code == ImageErrorCode.IMAGE_TOO_LARGE


def code(data: bytes) -> ImageErrorCode:
    with pytest.raises(ImageError) as caught:
        check_effort(data, 1_000_000)
    return caught.value.code


def test_parts_that_refer_to_themselves() -> None:
    data = bytearray(write_grid([TILE] * 2, 2, (120, 60)))
    at = data.index(b"dimg") + 4
    data[at : at + 8] = struct.pack(">HHHH", 3, 2, 3, 3)
    assert code(bytes(data)) == ImageErrorCode.IMAGE_CORRUPT


def test_two_tables_where_one_belongs() -> None:
    data = write_heic(TILE, tables_last=True)
    meta = data.index(b"meta") - 4
    assert code(data + data[meta:]) == ImageErrorCode.IMAGE_CORRUPT
    inner = data.index(b"pitm") - 4
    twice = bytearray(data + data[inner : inner + 14])
    twice[meta : meta + 4] = (len(twice) - meta).to_bytes(4)
    assert code(bytes(twice)) == ImageErrorCode.IMAGE_CORRUPT


def test_a_picture_that_is_not_hevc() -> None:
    assert code(write_heic(TILE).replace(b"hvc1", b"jpeg")) == ImageErrorCode.UNSUPPORTED_IMAGE


@pytest.mark.parametrize("table", [b"pitm", b"iinf", b"iprp", b"ipco"])
def test_a_missing_table(table: bytes) -> None:
    assert code(write_heic(TILE).replace(table, b"free")) == ImageErrorCode.IMAGE_CORRUPT
