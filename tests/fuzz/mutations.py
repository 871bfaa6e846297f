"""Damage that knows nothing of a format."""

import random
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

NASTY = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF,
         0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)  # fmt: skip
"""Numbers that lengths, counts and sizes are wrong with."""


def number(noise: random.Random) -> int:
    return noise.choice(NASTY) if noise.random() < 0.6 else noise.randrange(1 << 32)


def flip_bits(data: bytes, noise: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(noise.randrange(1, 12)):
        changed[noise.randrange(len(changed))] ^= 1 << noise.randrange(8)
    return bytes(changed)


def flip_early(data: bytes, noise: random.Random) -> bytes:
    """Headers and tables are in front."""
    changed = bytearray(data)
    for _ in range(noise.randrange(1, 6)):
        changed[noise.randrange(min(len(changed), 700))] = noise.randrange(256)
    return bytes(changed)


def truncate(data: bytes, noise: random.Random) -> bytes:
    return data[: noise.randrange(len(data)) + 1]


def zero(data: bytes, noise: random.Random) -> bytes:
    at, length = noise.randrange(len(data)), noise.randrange(1, 400)
    return data[:at] + bytes(len(data[at : at + length])) + data[at + length :]


def cut_out(data: bytes, noise: random.Random) -> bytes:
    at = noise.randrange(len(data))
    return data[:at] + data[at + noise.randrange(1, 60) :]


def double(data: bytes, noise: random.Random) -> bytes:
    at, length = noise.randrange(len(data)), noise.randrange(1, 2000)
    return data[: at + length] + data[at:]


def lie(data: bytes, noise: random.Random) -> bytes:
    """A number of 1, 2 or 4 bytes, in either order, becomes one that hurts."""
    size = noise.choice((1, 2, 4))
    order = "big" if noise.random() < 0.5 else "little"
    at = noise.randrange(max(1, len(data) if noise.random() < 0.3 else min(len(data), 900)))
    value = number(noise) % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


def append(data: bytes, noise: random.Random) -> bytes:
    return data + noise.randbytes(noise.randrange(1, 3000))


def splice(data: bytes, other: bytes, noise: random.Random) -> bytes:
    return data[: noise.randrange(len(data))] + other[noise.randrange(len(other)) :]


GENERIC: tuple[Mutation, ...] = (
    flip_bits, flip_early, truncate, zero, cut_out, double, lie, append,
)  # fmt: skip
