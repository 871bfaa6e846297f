"""A HEIC writer for tests: HEVC pictures of raw PCM samples, as no free encoder is at hand.

Every 16 x 16 coding unit stores its samples as they are (ITU-T H.265, pcm_flag), so the only
arithmetic coding left is one part_mode bin and the terminating bins, worked out by hand below.
"""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

HeicWriter = Callable[..., bytes]

# rangeTabLps for qRangeIdx 3 (H.265, table 9-52); part_mode is the probable value every time.
_LPS = (
    "240 227 216 205 195 185 175 166 158 150 142 135 128 122 116 110 104 99 94 89 85 80 76 72 69 65"
    " 62 59 56 53 50 48 45 43 41 39 37 35 33 31 30 28 27 25 24 23 22 21 20 19 18 17 16 15 14 14 13"
    " 12 12 11 11 10 9"
)
_RANGES = tuple(map(int, _LPS.split()))


class _Bits:
    def __init__(self) -> None:
        self.text = ""

    def u(self, value: int, bits: int) -> "_Bits":
        self.text += f"{value:0{bits}b}"
        return self

    def ue(self, *values: int) -> "_Bits":
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def payload(self) -> bytes:
        """With the stop bit and zeros up to a whole byte."""
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8)


def _nal(kind: int, payload: bytes) -> bytes:
    """With emulation prevention (7.3.1.1): no 00 00 0x inside."""
    out, zeros = bytearray(), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes((kind << 1, 1)) + bytes(out)


def _profile(bits: _Bits) -> None:
    bits.u(0, 3).u(3, 5).u(0x70000000, 32).u(0b1001, 4).u(0, 44).u(120, 8)


def _parameter_sets(width: int, height: int, crop: tuple[int, int]) -> list[bytes]:
    vps = _Bits().u(0, 4).u(3, 2).u(0, 6).u(0, 3).u(1, 1).u(0xFFFF, 16)
    _profile(vps)
    vps.u(1, 1).ue(0, 0, 0).u(0, 6).ue(0).u(0, 2)
    sps = _Bits().u(0, 4).u(0, 3).u(1, 1)
    _profile(sps)
    sps.ue(0, 1, width, height).u(1, 1).ue(0, crop[0] // 2, 0, crop[1] // 2)
    sps.ue(0, 0, 0).u(1, 1).ue(0, 0, 0)
    sps.ue(1, 0, 0, 2, 0, 0).u(0, 3)  # 16 x 16 coding units, no scaling lists, AMP or SAO
    sps.u(1, 1).u(7, 4).u(7, 4).ue(1, 0).u(1, 1)  # 8-bit PCM units of 16 x 16, not filtered
    sps.ue(0).u(0, 5)
    pps = _Bits().ue(0, 0).u(0, 1).u(0, 1).u(0, 3).u(0, 2).ue(0, 0, 0).u(0, 3).ue(0, 0)
    pps.u(0, 7).u(1, 1).u(0, 1).u(1, 1).u(0, 2).ue(0).u(0, 2)  # no deblocking
    return [_nal(32, vps.payload()), _nal(33, sps.payload()), _nal(34, pps.payload())]


def _code(value: int) -> bytes:
    """Nine bits of a flushed arithmetic coder, the last of them its stop bit, then alignment."""
    return ((value | 1) << 7).to_bytes(2)


def _slice(y: NDArray[np.uint8], cb: NDArray[np.uint8], cr: NDArray[np.uint8]) -> bytes:
    data = _Bits().u(0b10, 2).ue(0, 2, 0).payload()  # first slice, an I slice, QP as it is
    unit = 0
    for top in range(0, y.shape[0], 16):
        for left in range(0, y.shape[1], 16):
            interval = 510 - (2 if unit else 0) - _RANGES[min(unit, 62)]
            data += _code(interval - 2) + y[top : top + 16, left : left + 16].tobytes()
            for plane in (cb, cr):
                data += plane[top // 2 : top // 2 + 8, left // 2 : left // 2 + 8].tobytes()
            unit += 1
    return _nal(20, data + _code(508))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _full(kind: bytes, version: int, *parts: bytes) -> bytes:
    return _box(kind, bytes((version, 0, 0, 0)), *parts)


def _planes(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Full-range BT.601 Y, Cb, Cr (4:2:0), enlarged to whole coding units by repeating the edge."""
    pad = [(0, -side % 16) for side in pixels.shape[:2]]
    rgb = np.pad(pixels, (*pad, (0, 0)), "edge") / 255
    y = rgb @ (0.299, 0.587, 0.114)
    cb, cr = (rgb[..., 2] - y) / 1.772 + 0.5, (rgb[..., 0] - y) / 1.402 + 0.5
    halves = [c.reshape(len(c) // 2, 2, -1, 2).mean((1, 3)) for c in (cb, cr)]
    return [np.rint(plane * 255).clip(0, 255).astype(np.uint8) for plane in (y, *halves)]


def write_heic(
    pixels: NDArray[np.uint8],
    *,
    primaries: int = 1,
    transfer: int = 13,
    icc: bytes | None = None,
    quarter_turns: int = 0,
    claimed: tuple[int, int] | None = None,
    metadata: tuple[bytes, bytes] = (b"Exif", b""),
) -> bytes:
    """A HEIC of (H, W, 3) sRGB, H and W even. `claimed`: the (width, height) of its ispe box.

    `quarter_turns`: anticlockwise, applied by the reader (irot). `metadata`: an item that
    describes the picture, its type of four bytes and its content.
    """
    height, width = pixels.shape[:2]
    planes = _planes(pixels)
    full = planes[0].shape[1], planes[0].shape[0]
    sets = _parameter_sets(*full, (full[0] - width, full[1] - height))
    arrays = [
        bytes((0x80 | kind,)) + struct.pack(">HH", 1, len(nal)) + nal
        for kind, nal in zip((32, 33, 34), sets, strict=True)
    ]
    config = struct.pack(">BBI6sBHBBBBHBB", 1, 3, 0x70000000, b"\x90" + bytes(5), 120, 0xF000,
                         0xFC, 0xFD, 0xF8, 0xF8, 0, 0x0F, 3)  # fmt: skip
    nclx = struct.pack(">4sHHHB", b"nclx", primaries, transfer, 6, 0x80)
    colours = [_box(b"colr", nclx)] + ([_box(b"colr", b"prof" + icc)] if icc is not None else [])
    properties = [
        _box(b"hvcC", config, *arrays),
        _full(b"ispe", 0, struct.pack(">II", *(claimed or (width, height)))),
        _box(b"irot", bytes((quarter_turns % 4,))),
        *colours,
    ]
    numbers = bytes(range(1, len(properties) + 1)).replace(b"\1", b"\x81").replace(b"\3", b"\x83")
    associations = struct.pack(">IHB", 1, 1, len(numbers)) + numbers  # hvcC and irot are essential
    picture = _slice(*planes)
    stream = struct.pack(">I", len(picture)) + picture

    def meta(offset: int) -> bytes:
        places = struct.pack(">BBH", 0x44, 0, 2)
        places += struct.pack(">HHHII", 1, 0, 1, offset, len(stream))
        places += struct.pack(">HHHII", 2, 0, 1, offset + len(stream), len(metadata[1]))
        items = [
            _full(b"infe", 2, struct.pack(">HH4s", number, 0, kind), b"\0")
            for number, kind in ((1, b"hvc1"), (2, metadata[0]))
        ]
        return _full(
            b"meta",
            0,
            _full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            _full(b"pitm", 0, struct.pack(">H", 1)),
            _full(b"iloc", 0, places),
            _full(b"iinf", 0, struct.pack(">H", 2), *items),
            _full(b"iref", 0, _box(b"cdsc", struct.pack(">HHH", 2, 1, 1))),
            _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", 0, associations)),
        )

    kind = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    head = kind + meta(len(kind) + len(meta(0)) + 8)
    return head + _box(b"mdat", stream, metadata[1])


@pytest.fixture(scope="session", name="write_heic")
def _write_heic() -> HeicWriter:
    return write_heic
