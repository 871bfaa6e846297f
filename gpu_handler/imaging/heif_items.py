"""What decoding a HEIF's primary picture takes, read from its item tables (ISO/IEC 23008-12).

libheif keeps a picture to the size that its header gives, but decodes as many of them as a grid
names: 900 tiles for a result of 64 x 64 cost it 34 s and 4 GB. They are counted here.
"""

import struct
from collections.abc import Iterator

from msgspec import Struct

from gpu_handler.imaging.errors import ImageError, ImageErrorCode, corrupt

Box = tuple[bytes, bytes]

_DEPTH = 4  # a grid inside a transformed picture inside another: more is a riddle, not a photo
_MAX_BOXES = 5_000
_CODED = b"hvc1"
_TABLES = frozenset((b"pitm", b"iinf", b"iref", b"iprp", b"ipco", b"iloc"))


class Items(Struct, frozen=True):
    """`kinds`: type of each item. `parts`: what it is put together from. `helpers`: pictures that
    belong to it (alpha, depth, gain map). `areas`: pixels that its header claims."""

    primary: int
    kinds: dict[int, bytes]
    parts: dict[int, list[int]]
    helpers: dict[int, list[int]]
    areas: dict[int, int]


def check_effort(data: bytes, most: int) -> None:
    """Refuse a primary picture for which more than `most` pixels would have to be decoded."""
    try:
        items = read_items(data)
    except (struct.error, IndexError, KeyError) as error:
        raise corrupt("its tables break off") from error
    pictures = [items.primary, *items.helpers.get(items.primary, [])]
    if sum(_pixels(items, number, most, 0) for number in pictures) > most:
        raise ImageError(ImageErrorCode.IMAGE_TOO_LARGE, "The picture has too many parts.")


def _pixels(items: Items, number: int, most: int, depth: int) -> int:
    if depth > _DEPTH:
        raise corrupt("its parts refer to each other without end")
    parts = items.parts.get(number)
    if parts is None:
        if items.kinds.get(number) != _CODED and depth == 0 and number == items.primary:
            message = "HEIF photos of this kind are not taken; HEIC photos are."
            raise ImageError(ImageErrorCode.UNSUPPORTED_IMAGE, message)
        return items.areas.get(number, most)
    total = 0
    for part in parts:
        total += _pixels(items, part, most, depth + 1)
        if total > most:
            break
    return total


def read_items(data: bytes) -> Items:
    """Raises ImageError, or struct.error, IndexError or KeyError where a table breaks off."""
    meta = dict(_once(_boxes(_only(data, b"meta")[4:])))
    properties = dict(_once(_boxes(meta[b"iprp"])))
    parts, helpers = dict[int, list[int]](), dict[int, list[int]]()
    for kind, source, targets in _references(meta.get(b"iref", bytes(4))):
        if kind == b"dimg":
            parts.setdefault(source, []).extend(targets)
        elif kind == b"auxl":
            for target in targets:
                helpers.setdefault(target, []).append(source)
    sizes = [_area(kind, body) for kind, body in _boxes(properties[b"ipco"])]
    areas = dict[int, int]()
    for kind, body in _boxes(meta[b"iprp"]):
        for number, indices in _associations(body) if kind == b"ipma" else ():
            own = (sizes[index - 1] for index in indices if 0 < index <= len(sizes))
            if area := max(own, default=0):
                areas[number] = max(areas.get(number, 0), area)
    return Items(_primary(meta[b"pitm"]), _kinds(meta[b"iinf"]), parts, helpers, areas)


def _boxes(data: bytes) -> Iterator[Box]:
    """Kind and content of each box (ISO/IEC 14496-12, 4.2)."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            return
        size, kind, head = *struct.unpack_from(">I4s", data, at), 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            return
        yield kind, data[at + head : at + size]
        at += size
    raise corrupt("it has too many boxes")


def _only(data: bytes, kind: bytes) -> bytes:
    found = [body for name, body in _boxes(data) if name == kind]
    if len(found) != 1:
        raise corrupt(f"it has {len(found)} tables where one belongs")
    return found[0]


def _once(boxes: Iterator[Box]) -> Iterator[Box]:
    """The same, refusing a table that comes twice: two readers would not take the same one."""
    seen = set[bytes]()
    for kind, body in boxes:
        if kind in seen and kind in _TABLES:
            raise corrupt("it has two tables where one belongs")
        seen.add(kind)
        yield kind, body


def _primary(body: bytes) -> int:
    return struct.unpack_from(">I" if body[0] else ">H", body, 4)[0]


def _kinds(body: bytes) -> dict[int, bytes]:
    """iinf with infe boxes of version 2 or 3; older ones name no type."""
    kinds = dict[int, bytes]()
    for kind, entry in _boxes(body[8 if body[0] else 6 :]):
        if kind == b"infe" and entry[0] >= 2:
            number, _, name = struct.unpack_from(">IH4s" if entry[0] > 2 else ">HH4s", entry, 4)
            kinds[number] = name
    return kinds


def _references(body: bytes) -> list[tuple[bytes, int, list[int]]]:
    found = list[tuple[bytes, int, list[int]]]()
    letter, size = ("I", 4) if body[0] else ("H", 2)
    for kind, entry in _boxes(body[4:]):
        source, count = struct.unpack_from(f">{letter}H", entry)
        targets = struct.unpack_from(f">{count}{letter}", entry, size + 2)
        found.append((kind, source, list(targets)))
    return found


def _area(kind: bytes, body: bytes) -> int:
    if kind != b"ispe":
        return 0
    width, height = struct.unpack_from(">II", body, 4)
    return width * height


def _associations(body: bytes) -> Iterator[tuple[int, list[int]]]:
    """(item, numbers of its properties from 1): ipma, 1 or 2 bytes a number with a flag on top."""
    letter, size = ("H", 2) if body[3] & 1 else ("B", 1)
    (count,) = struct.unpack_from(">I", body, 4)
    at = 8
    for _ in range(min(count, _MAX_BOXES)):
        number, many = struct.unpack_from(">IB" if body[0] else ">HB", body, at)
        at += 5 if body[0] else 3
        values = struct.unpack_from(f">{many}{letter}", body, at)
        at += many * size
        yield number, [value & (0x7FFF if size == 2 else 0x7F) for value in values]
