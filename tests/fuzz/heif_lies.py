"""HEIF files whose boxes fit into each other, and that are wrong inside (ISO/IEC 14496-12)."""

import random
import struct

from tests.fuzz.mutations import Mutation, number
from tests.gpu_handler.imaging.heic import box, full

Tree = list["Node"]
Node = tuple[bytes, bytes, "Tree | None"]  # kind, what stands before the inner boxes, inner boxes

_HEADS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iref": 4, b"iinf": 6}
"""Boxes that hold boxes -> bytes of their own before those."""


def _tree(data: bytes) -> Tree:
    at, found = 0, Tree()
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            break
        body, head = data[at + 8 : at + size], _HEADS.get(kind)
        inner = None if head is None else _tree(body[head:])
        found.append((kind, body if head is None else body[:head], inner))
        at += size
    return found


def _joined(tree: Tree) -> bytes:
    return b"".join(
        box(kind, own, b"" if inner is None else _joined(inner)) for kind, own, inner in tree
    )


def _lists(tree: Tree) -> list[Tree]:
    return [tree, *(found for _, _, inner in tree if inner for found in _lists(inner))]


def _place(tree: Tree, noise: random.Random) -> tuple[Tree, int] | None:
    """A box that is not the pixels: most damage should hit the tables."""
    places = [(t, i) for t in _lists(tree) for i, node in enumerate(t) if node[0] != b"mdat"]
    return noise.choice(places) if places else None


def change_box(data: bytes, noise: random.Random) -> bytes:
    tree = _tree(data)
    place = _place(tree, noise)
    if place is None:
        return data
    boxes, i = place
    kind, own, inner = boxes[i]
    changed = bytearray(own)
    for _ in range(noise.randrange(1, 4)):
        if changed:
            size = noise.choice((1, 1, 2, 4))
            at = noise.randrange(len(changed))
            value = number(noise) % (1 << 8 * size)
            changed[at : at + size] = value.to_bytes(size)
    boxes[i] = (kind, bytes(changed), inner)
    return _joined(tree)


def move_box(data: bytes, noise: random.Random) -> bytes:
    tree = _tree(data)
    place = _place(tree, noise)
    if place is None:
        return data
    boxes, i = place
    taken = boxes.pop(i)
    if noise.random() < 0.7:
        target = boxes if noise.random() < 0.7 else noise.choice(_lists(tree))
        for _ in range(noise.choice((1, 2, 300))):
            target.insert(noise.randrange(len(target) + 1), taken)
    return _joined(tree)


def add_property(data: bytes, noise: random.Random) -> bytes:
    """A property in front: all numbers of the properties behind it are then wrong by one."""
    tree = _tree(data)
    sides = [noise.choice((0, 1, 2, 64, 7000, 0xFFFFFFFF)) for _ in range(2)]
    extra = noise.choice(
        (
            full(b"ispe", 0, struct.pack(">II", *sides)),
            box(b"irot", bytes((noise.randrange(256),))),
            box(b"imir", bytes((noise.randrange(256),))),
            box(b"clap", struct.pack(">8I", *(number(noise) for _ in range(8)))),
            full(b"pixi", 0, bytes((3, 8, noise.choice((8, 10, 255)), 8))),
            full(b"auxC", 0, b"urn:mpeg:hevc:2015:auxid:1\0"),
            box(b"colr", noise.choice((b"nclx", b"prof", b"rICC", b"xxxx")) + noise.randbytes(40)),
        )
    )
    for boxes in _lists(tree):
        if boxes and boxes[0][0] == b"hvcC":
            boxes.insert(noise.choice((0, 1, len(boxes))), _tree(extra)[0])
    return _joined(tree)


def add_reference(data: bytes, noise: random.Random) -> bytes:
    kind = noise.choice((b"dimg", b"auxl", b"thmb", b"cdsc", b"prem"))
    ends = [noise.choice((0, 1, 2, 3, 5, 9)) for _ in range(noise.choice((2, 3, 40)))]
    body = struct.pack(f">HH{len(ends) - 1}H", ends[0], len(ends) - 1, *ends[1:])
    tree = _tree(data)
    for boxes in _lists(tree):
        for node in boxes:
            if node[0] == b"iref" and node[2] is not None:
                node[2].append((kind, body, None))
    return _joined(tree)


HEIF_LIES: tuple[Mutation, ...] = (
    change_box, change_box, change_box, move_box, add_property, add_reference,
)  # fmt: skip
