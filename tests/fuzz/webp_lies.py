"""WebP files whose container adds up (RFC 9649), and that are wrong inside."""

import random
import struct

from gpu_handler.imaging.profiles import DISPLAY_P3
from tests.fuzz.mutations import Mutation, number

Chunk = tuple[bytes, bytes]


def _chunks(data: bytes) -> list[Chunk]:
    at, found = 12, list[Chunk]()
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            break
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + (length & 1)
    return found


def _joined(chunks: list[Chunk]) -> bytes:
    parts = (struct.pack("<4sI", k, len(b)) + b + bytes(len(b) & 1) for k, b in chunks)
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def change_chunk(data: bytes, noise: random.Random) -> bytes:
    chunks = _chunks(data)
    full = [i for i, (_, body) in enumerate(chunks) if body]
    if not full:
        return data
    i = noise.choice(full)
    kind, body = chunks[i]
    changed, most = bytearray(body), 40 if noise.random() < 0.5 else len(body)
    for _ in range(noise.randrange(1, 5)):
        changed[noise.randrange(min(most, len(changed)))] = noise.randrange(256)
    chunks[i] = (kind, bytes(changed))
    return _joined(chunks)


def change_canvas(data: bytes, noise: random.Random) -> bytes:
    """Flags and size of the extended header, which is put there where it is missing."""
    chunks = [part for part in _chunks(data) if part[0] != b"VP8X"]
    sides = [noise.choice((0, 1, 63, 65, 299, 7000, 16383, 0xFFFFFF)) for _ in range(2)]
    size = b"".join(side.to_bytes(3, "little") for side in sides)
    flags = noise.choice((0, 0x02, 0x10, 0x20, 0x3E, 0xFF, noise.randrange(256)))
    return _joined([(b"VP8X", bytes((flags, 0, 0, 0)) + size), *chunks])


def move_chunk(data: bytes, noise: random.Random) -> bytes:
    chunks = _chunks(data)
    if not chunks:
        return data
    taken = chunks.pop(noise.randrange(len(chunks)))
    if noise.random() < 0.7:
        for _ in range(noise.choice((1, 2, 400))):
            chunks.insert(noise.randrange(len(chunks) + 1), taken)
    return _joined(chunks)


def add_chunk(data: bytes, noise: random.Random) -> bytes:
    chunks = _chunks(data)
    broken = bytearray(DISPLAY_P3)
    broken[noise.randrange(len(broken))] = noise.randrange(256)
    frame = b"".join(noise.choice((0, 1, 63, 7000)).to_bytes(3, "little") for _ in range(5))
    extra = noise.choice(
        (
            (b"ICCP", bytes(broken)),
            (b"ICCP", bytes(noise.choice((0, 200, 10_000_000)))),
            (b"EXIF", b"II*\0" + noise.randbytes(200)),
            (b"XMP ", b"<x>" * 300_000),
            (b"ANIM", noise.randbytes(6)),
            (b"ANMF", frame + b"\0" + b"".join(k + b for k, b in chunks)[:5000]),
            (b"ALPH", noise.randbytes(300)),
            (noise.randbytes(4), noise.randbytes(number(noise) % 3000)),
        )
    )
    chunks.insert(noise.randrange(len(chunks) + 1), extra)
    return _joined(chunks)


WEBP_LIES: tuple[Mutation, ...] = (
    change_chunk, change_chunk, change_chunk, change_canvas, move_chunk, add_chunk,
)  # fmt: skip
