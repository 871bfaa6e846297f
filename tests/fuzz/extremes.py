"""Bombs and odd shapes made by hand: small files that claim, or cost, as much as they can."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.fuzz.seeds import SIGNATURE, chunk, png, saved, scene
from tests.gpu_handler.imaging.heic import write_grid, write_heic

Named = tuple[str, bytes]


def extremes(format_: str) -> Iterator[Named]:
    """(name, file), made one after the other: some are large."""
    match format_:
        case "jpeg":
            yield from _jpegs()
        case "png":
            yield from _pngs()
        case "webp":
            yield from _webps()
        case _:
            yield from _heics()


def flat(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (190, 170, 150))


def _jpegs() -> Iterator[Named]:
    yield "1 x 1", saved(flat(1, 1), "JPEG")
    yield "1 x 30,000", saved(flat(1, 30_000), "JPEG")
    yield "100 MP", _resized(saved(flat(64, 64), "JPEG"), 10_000, 10_000)
    yield "50 MP claimed, a few bytes", _resized(saved(scene(64, 64), "JPEG"), 8_000, 6_250)
    yield "50 MP", saved(flat(8_000, 6_250), "JPEG", quality=60)
    large = saved(flat(8_000, 6_250), "JPEG", progressive=True, subsampling=0)
    yield "50 MP progressive", large
    yield "50 MP, 24 scans", _scans(large, 14)
    yield "50 MP, 99 scans", _scans(large, 89)
    inked = saved(flat(8_000, 6_250).convert("CMYK"), "JPEG", progressive=True)
    yield "50 MP CMYK progressive", inked
    yield "50 MP CMYK, 23 scans", _scans(inked, 5)
    yield "12 MP, 99 scans", _scans(saved(flat(4_000, 3_000), "JPEG", progressive=True), 89)
    yield "50 MP, 99 scans behind a false end", _scans(large, 89, b"\xff\xfe\0\4\xff\xd9")
    yield "50 MP, 24 scans, damaged", _scans(large, 14, b"\xff\xd3\0\0")
    yield "30,000 segments", b"\xff\xd8" + b"\xff\xe5\0\4ab" * 30_000 + large[2:]
    yield "30 MB of metadata", b"\xff\xd8" + (b"\xff\xe1\xff\xff" + b"x" * 65533) * 460 + large[2:]


def _resized(data: bytes, width: int, height: int) -> bytes:
    changed = bytearray(data)
    frame = data.index(b"\xff\xc0")
    changed[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(changed)


def _scans(data: bytes, more: int, between: bytes = b"") -> bytes:
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + between + data[scan:-2] * (more + 1) + data[-2:]


def _pngs() -> Iterator[Named]:
    yield "1 x 1", saved(flat(1, 1), "PNG")
    yield "1 x 30,000", saved(flat(1, 30_000), "PNG")
    yield "30,000 x 1", saved(flat(30_000, 1), "PNG")
    yield "100 MP", _bomb(10_000, 10_000, 8, 2)
    yield "50 MP claimed, a few bytes", png((8_000, 6_250), 8, 2, bytes(10_000))
    for name, bits, kind in (("", 8, 2), (" 16 bit alpha", 16, 6), (" 16 bit grey", 16, 0)):
        yield f"50 MP bomb{name}", _bomb(8_000, 6_250, bits, kind)
    yield "50 MP bomb, interlaced", _bomb(8_000, 6_250, 8, 6, interlaced=1)
    yield "50 MP bomb, 1 bit", _bomb(8_000, 6_250, 1, 0)
    yield "64 texts that inflate", _texts(64)
    yield "200 texts that inflate", _texts(200)
    yield "40,000 chunks", _stuffed((b"xxXx", b""), 40_000)
    yield "40 MB profile", _stuffed((b"iCCP", b"p\0\0" + zlib.compress(bytes(40_000_000))), 1)


def _bomb(width: int, height: int, bits: int, kind: int, interlaced: int = 0) -> bytes:
    samples = {0: 1, 2: 3, 6: 4}[kind]
    row = 1 + (width * samples * bits + 7) // 8
    packer, parts = zlib.compressobj(1), list[bytes]()
    for _ in range(height * 2 if interlaced else height):
        parts.append(packer.compress(bytes(row)))
    parts.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"".join(parts)) + chunk(b"IEND", b"")
    return SIGNATURE + body


def _stuffed(extra: tuple[bytes, bytes], count: int) -> bytes:
    data = saved(scene(64, 64), "PNG")
    return data[:33] + chunk(*extra) * count + data[33:]


def _texts(count: int) -> bytes:
    return _stuffed((b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9)), count)


def _webps() -> Iterator[Named]:
    yield "1 x 1", saved(flat(1, 1), "WEBP")
    yield "1 x 16,383", saved(flat(1, 16_383), "WEBP")
    yield "100 MP", saved(flat(10_000, 10_000), "WEBP", lossless=True, quality=0, method=0)
    large = flat(8_000, 6_250)
    yield "50 MP", saved(large, "WEBP", method=0)
    yield "50 MP lossless", saved(large, "WEBP", lossless=True, quality=0, method=0)
    layered = large.copy()
    layered.putalpha(100)
    yield "50 MP alpha", saved(layered, "WEBP", method=0)
    yield "50 MP alpha lossless", saved(layered, "WEBP", lossless=True, quality=0, method=0)
    yield "50 MP canvas, small frame", _canvas(8_000, 6_250)
    yield "100 MP canvas, small frame", _canvas(10_000, 10_000)


def _canvas(width: int, height: int) -> bytes:
    file, frame = io.BytesIO(), Image.fromarray(scene(64, 64))
    frame.save(file, "WEBP", save_all=True, append_images=[frame.rotate(90)])
    data = bytearray(file.getvalue())
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def _heics() -> Iterator[Named]:
    tile, large = scene(64, 64), np.full((2048, 2048, 3), 90, np.uint8)
    yield "2 x 2", write_heic(tile[:2, :2])
    yield "2 x 4,000", write_heic(np.full((4_000, 2, 3), 90, np.uint8))
    yield "100 MP", write_heic(tile, claimed=(10_000, 10_000))
    yield "50 MP claimed, a few bytes", write_heic(tile, claimed=(8_000, 6_250))
    yield "268 MP inside", write_heic(tile, coded_size=(16_384, 16_384))
    yield "16 MP inside 50", write_heic(tile, coded_size=(4_096, 4_096), claimed=(8_000, 6_250))
    yield "50 MP grid", write_grid([large] * 12, 4, (8_000, 6_000))
    yield "900 tiles of 4 MP for 64 x 64", write_grid([large] * 900, 30, (64, 64))
    yield "17 tiles of 4 MP for 64 x 64", write_grid([large] * 16, 4, (64, 64))
    yield "900 tiles for 50 MP", write_grid([tile] * 900, 30, (8_000, 6_250))
    yield (
        "tiles that claim 50 MP",
        write_grid([tile] * 4, 2, (7_000, 7_000), claimed=(7_000, 7_000)),
    )
