"""PNG files whose checksums are right, so that what is wrong inside reaches the decoder."""

import random
import struct
import zlib

from gpu_handler.imaging.profiles import DISPLAY_P3
from tests.fuzz.mutations import Mutation, number
from tests.fuzz.seeds import SIGNATURE, chunk

Chunk = tuple[bytes, bytes]


def _chunks(data: bytes) -> list[Chunk]:
    at, found = 8, list[Chunk]()
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _joined(chunks: list[Chunk]) -> bytes:
    return SIGNATURE + b"".join(chunk(kind, body) for kind, body in chunks)


def change_chunk(data: bytes, noise: random.Random) -> bytes:
    chunks = _chunks(data)
    full = [i for i, (_, body) in enumerate(chunks) if body]
    if not full:
        return data
    i = noise.choice(full)
    kind, body = chunks[i]
    changed = bytearray(body)
    for _ in range(noise.randrange(1, 5)):
        changed[noise.randrange(len(changed))] = noise.randrange(256)
    chunks[i] = (kind, bytes(changed))
    return _joined(chunks)


def change_header(data: bytes, noise: random.Random) -> bytes:
    chunks = _chunks(data)
    if not chunks or len(chunks[0][1]) < 13:
        return data
    header = bytearray(chunks[0][1])
    if noise.random() < 0.5:
        at = noise.choice((0, 4))
        side = noise.choice((0, 1, 63, 65, 500, 6000, 29_000, number(noise)))
        header[at : at + 4] = struct.pack(">I", side)
    else:
        at = noise.randrange(8, 13)
        header[at] = noise.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    chunks[0] = (b"IHDR", bytes(header))
    return _joined(chunks)


def move_chunk(data: bytes, noise: random.Random) -> bytes:
    chunks = _chunks(data)
    if len(chunks) < 2:
        return data
    taken = chunks.pop(noise.randrange(len(chunks)))
    if noise.random() < 0.7:
        for _ in range(noise.choice((1, 2, 100))):
            chunks.insert(noise.randrange(len(chunks) + 1), taken)
    return _joined(chunks)


def change_pixels(data: bytes, noise: random.Random) -> bytes:
    """The rows themselves: filters that do not exist, too few or too many bytes, bombs."""
    chunks = _chunks(data)
    rest = [part for part in chunks if part[0] != b"IDAT"]
    try:
        rows = bytearray(zlib.decompress(b"".join(b for k, b in chunks if k == b"IDAT")))
    except zlib.error:
        return data
    match noise.randrange(4):
        case 0:
            rows = rows[: noise.randrange(len(rows) + 1)]
        case 1:
            rows += bytes(noise.choice((1, 10_000, 20_000_000)))
        case _:
            for _ in range(noise.randrange(1, 9)):
                rows[noise.randrange(len(rows))] = noise.randrange(256)
    packed = zlib.compress(bytes(rows), 1)
    parts = [packed[i : i + 8192] for i in range(0, len(packed), 8192)]
    if noise.random() < 0.1:
        parts = [packed[i : i + 1] for i in range(min(len(packed), 3000))]
    return _joined([*rest[:-1], *((b"IDAT", part) for part in parts), *rest[-1:]])


def add_chunk(data: bytes, noise: random.Random) -> bytes:
    chunks = _chunks(data)
    zeros = zlib.compress(bytes(30_000_000 if noise.random() < 0.1 else 300_000), 9)
    broken = bytearray(DISPLAY_P3)
    broken[noise.randrange(len(broken))] = noise.randrange(256)
    extra = noise.choice(
        (
            (b"iCCP", b"p\0\0" + zeros),
            (b"iCCP", b"p\0\0" + zlib.compress(bytes(broken))),
            (b"zTXt", b"k\0\0" + zeros),
            (b"iTXt", b"k\0\1\0\0\0" + zeros),
            (b"tEXt", b"k\0" + bytes(200_000)),
            (b"eXIf", b"II*\0" + noise.randbytes(100)),
            (b"acTL", struct.pack(">II", number(noise), number(noise))),
            (b"fcTL", struct.pack(">7I", *(number(noise) for _ in range(7)))[:26]),
            (b"tRNS", noise.randbytes(noise.choice((0, 1, 2, 6, 255, 300)))),
            (b"PLTE", noise.randbytes(noise.choice((0, 1, 3, 768, 900)))),
            (b"gAMA", struct.pack(">I", number(noise))),
            (b"cHRM", noise.randbytes(noise.choice((4, 32)))),
            (b"pHYs", noise.randbytes(noise.choice((3, 9)))),
            (noise.randbytes(4), noise.randbytes(20)),
        )
    )
    for _ in range(noise.choice((1, 1, 1, 70))):
        chunks.insert(1 if noise.random() < 0.8 else len(chunks), extra)
    return _joined(chunks)


PNG_LIES: tuple[Mutation, ...] = (
    change_chunk, change_chunk, change_header, move_chunk, change_pixels, add_chunk,
)  # fmt: skip
