"""JPEG files that are whole segment by segment, and wrong inside (ITU T.81, annex B)."""

import random
import struct

from gpu_handler.imaging.profiles import DISPLAY_P3
from tests.fuzz.mutations import Mutation, number

Segment = tuple[int, bytes]


def _segments(data: bytes) -> tuple[list[Segment], bytes]:
    """Marker and body up to the first scan, and everything from there."""
    at, found = 2, list[Segment]()
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2 or at + 2 + length > len(data):
            break
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found, data[at:]


def _joined(segments: list[Segment], rest: bytes) -> bytes:
    parts = (struct.pack(">BBH", 255, m, min(len(b) + 2, 65535)) + b for m, b in segments)
    return b"\xff\xd8" + b"".join(parts) + rest


def change_segment(data: bytes, noise: random.Random) -> bytes:
    segments, rest = _segments(data)
    if not segments:
        return data
    i = noise.randrange(len(segments))
    body = bytearray(segments[i][1])
    for _ in range(noise.randrange(1, 5)):
        if body:
            body[noise.randrange(len(body))] = noise.randrange(256)
    segments[i] = (segments[i][0], bytes(body))
    return _joined(segments, rest)


def move_segment(data: bytes, noise: random.Random) -> bytes:
    segments, rest = _segments(data)
    if not segments:
        return data
    segment = noise.choice(segments)
    if noise.random() < 0.5:
        segments.remove(segment)
    if noise.random() < 0.7:
        for _ in range(noise.choice((1, 2, 300))):
            segments.insert(noise.randrange(len(segments) + 1), segment)
    return _joined(segments, rest)


def change_frame(data: bytes, noise: random.Random) -> bytes:
    """Size, components, sampling or the kind of coding."""
    segments, rest = _segments(data)
    for i, (marker, body) in enumerate(segments):
        if marker in (0xC0, 0xC1, 0xC2) and len(body) >= 9:
            frame = bytearray(body)
            match noise.randrange(4):
                case 0:
                    size = [noise.choice((0, 1, 8, 65, 400, 3000, 7000)) for _ in range(2)]
                    frame[1:5] = struct.pack(">HH", *size)
                case 1:
                    frame[5] = noise.choice((0, 1, 2, 3, 4, 5, 255))
                case 2:
                    frame[7] = noise.randrange(256)
                case _:
                    marker = noise.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB))
            segments[i] = (marker, bytes(frame))
    return _joined(segments, rest)


def repeat_scan(data: bytes, noise: random.Random) -> bytes:
    """Each scan is a walk over all pixels."""
    scan = data.rfind(b"\xff\xda")
    if scan < 0:
        return data
    return data[:-2] + data[scan:-2] * noise.choice((1, 5, 60, 99, 300)) + data[-2:]


def add_metadata(data: bytes, noise: random.Random) -> bytes:
    """Broken EXIF, profiles in pieces that do not fit, comments and XMP without end."""
    match noise.randrange(5):
        case 0:
            body = b"Exif\0\0" + noise.choice((b"II*\0", b"MM\0*", b"")) + noise.randbytes(200)
            extra = [(0xE1, body)]
        case 1:
            pieces = noise.choice(((1, 1), (1, 2), (2, 1), (0, 0), (9, 255)))
            profile = bytearray(DISPLAY_P3)
            profile[noise.randrange(len(profile))] = noise.randrange(256)
            extra = [(0xE2, b"ICC_PROFILE\0" + bytes(pieces) + profile)] * noise.choice((1, 3))
        case 2:
            extra = [(0xFE, bytes(65000))] * noise.choice((1, 50))
        case 3:
            extra = [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<x>" * 20000)] * 20
        case _:
            extra = [
                (0xDD, struct.pack(">H", number(noise) & 0xFFFF)),
                (0xE2, b"MPF\0" + b"M" * 90),
            ]
    segments, rest = _segments(data)
    return _joined([*extra, *segments], rest)


JPEG_LIES: tuple[Mutation, ...] = (
    change_segment, change_segment, move_segment, change_frame, repeat_scan, add_metadata,
)  # fmt: skip
