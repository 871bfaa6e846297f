"""A HEIC writer for tests: one picture, or a grid of tiles as phones write them."""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.gpu_handler.imaging.hevc import parameter_sets, picture_data, planes


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, version: int, *parts: bytes) -> bytes:
    return box(kind, bytes((version, 0, 0, 0)), *parts)


def coded(
    pixels: NDArray[np.uint8], coded_size: tuple[int, int] | None = None
) -> tuple[bytes, bytes]:
    """(hvcC box, stream) of (H, W, 3) sRGB. `coded_size`: what the parameter sets claim."""
    height, width = pixels.shape[:2]
    samples = planes(pixels)
    size = samples[0].shape[1], samples[0].shape[0]
    crop = (0, 0) if coded_size else (size[0] - width, size[1] - height)
    sets = parameter_sets(*(coded_size or size), crop)
    arrays = [
        bytes((0x80 | kind,)) + struct.pack(">HH", 1, len(nal)) + nal
        for kind, nal in zip((32, 33, 34), sets, strict=True)
    ]
    config = struct.pack(">BBI6sBHBBBBHBB", 1, 3, 0x70000000, b"\x90" + bytes(5), 120, 0xF000,
                         0xFC, 0xFD, 0xF8, 0xF8, 0, 0x0F, 3)  # fmt: skip
    picture = picture_data(*samples)
    return box(b"hvcC", config, *arrays), struct.pack(">I", len(picture)) + picture


def ispe(width: int, height: int) -> bytes:
    return full(b"ispe", 0, struct.pack(">II", width, height))


def _file(
    items: Sequence[tuple[bytes, bytes]],
    primary: int,
    references: bytes,
    properties: bytes,
    tables_last: bool,
) -> bytes:
    """`items`: type and content of each, numbered from 1; `properties`: the ipco and ipma boxes.

    Equal contents are stored once. With `tables_last` the tables may grow without moving them.
    """
    contents = list(dict.fromkeys(body for _, body in items))

    def meta(offset: int) -> bytes:
        starts = dict[bytes, int]()
        for body in contents:
            starts[body] = offset
            offset += len(body)
        places = struct.pack(">BBH", 0x44, 0, len(items))
        for number, (_, body) in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, starts[body], len(body))
        infos = [
            full(b"infe", 2, struct.pack(">HH4s", number, 0, kind), b"\0")
            for number, (kind, _) in enumerate(items, 1)
        ]
        return full(
            b"meta",
            0,
            full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, struct.pack(">H", primary)),
            full(b"iloc", 0, places),
            full(b"iinf", 0, struct.pack(">H", len(items)), *infos),
            full(b"iref", 0, references),
            box(b"iprp", properties),
        )

    kind = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    if tables_last:
        return kind + box(b"mdat", *contents) + meta(len(kind) + 8)
    head = kind + meta(len(kind) + len(meta(0)) + 8)
    return head + box(b"mdat", *contents)


def write_heic(
    pixels: NDArray[np.uint8],
    *,
    primaries: int = 1,
    transfer: int = 13,
    icc: bytes | None = None,
    quarter_turns: int = 0,
    claimed: tuple[int, int] | None = None,
    coded_size: tuple[int, int] | None = None,
    metadata: tuple[bytes, bytes] = (b"Exif", b""),
    tables_last: bool = False,
) -> bytes:
    """A HEIC of (H, W, 3) sRGB, H and W even. `claimed`: the (width, height) of its ispe box.

    `quarter_turns`: anticlockwise, applied by the reader (irot). `metadata`: an item that
    describes the picture, its type of four bytes and its content. `coded_size`: the (width,
    height) that the HEVC stream claims, multiples of 16.
    """
    config, stream = coded(pixels, coded_size)
    nclx = struct.pack(">4sHHHB", b"nclx", primaries, transfer, 6, 0x80)
    colours = [box(b"colr", nclx)] + ([box(b"colr", b"prof" + icc)] if icc is not None else [])
    properties = [
        config,
        ispe(*(claimed or pixels.shape[1::-1])),
        box(b"irot", bytes((quarter_turns % 4,))),
        *colours,
    ]
    numbers = bytes(range(1, len(properties) + 1)).replace(b"\1", b"\x81").replace(b"\3", b"\x83")
    associations = struct.pack(">IHB", 1, 1, len(numbers)) + numbers  # hvcC and irot are essential
    return _file(
        [(b"hvc1", stream), metadata],
        1,
        box(b"cdsc", struct.pack(">HHH", 2, 1, 1)),
        box(b"ipco", *properties) + full(b"ipma", 0, associations),
        tables_last,
    )


def write_grid(
    tiles: Sequence[NDArray[np.uint8]],
    columns: int,
    size: tuple[int, int],
    *,
    claimed: tuple[int, int] | None = None,
    tables_last: bool = False,
) -> bytes:
    """A HEIC of equal (H, W, 3) tiles, row by row, cut to a (width, height) of `size`.

    `claimed`: the (width, height) of the tiles' ispe box.
    """
    made = {number: coded(tile) for number, tile in {id(tile): tile for tile in tiles}.items()}
    config = next(iter(made.values()))[0]
    wanted = struct.pack(">BBBBII", 0, 1, len(tiles) // columns - 1, columns - 1, *size)
    items = [*((b"hvc1", made[id(tile)][1]) for tile in tiles), (b"grid", wanted)]
    numbers = range(1, len(items))
    properties = [config, ispe(*(claimed or tiles[0].shape[1::-1])), ispe(*size)]
    owned = b"".join(struct.pack(">HBBB", number, 2, 0x81, 2) for number in numbers)
    owned += struct.pack(">HBB", len(items), 1, 3)
    return _file(
        items,
        len(items),
        box(b"dimg", struct.pack(f">HH{len(tiles)}H", len(items), len(tiles), *numbers)),
        box(b"ipco", *properties) + full(b"ipma", 0, struct.pack(">I", len(items)), owned),
        tables_last,
    )
