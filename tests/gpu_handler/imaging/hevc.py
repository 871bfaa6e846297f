"""An HEVC writer for tests: pictures of raw PCM samples, as no free encoder is at hand.

Every 16 x 16 coding unit stores its samples as they are (ITU-T H.265, pcm_flag), so the only
arithmetic coding left is one part_mode bin and the terminating bins, worked out by hand below.
"""

import re

import numpy as np
from numpy.typing import NDArray

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
    out = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)
    return bytes((kind << 1, 1)) + out


def _profile(bits: _Bits) -> None:
    bits.u(0, 3).u(3, 5).u(0x70000000, 32).u(0b1001, 4).u(0, 44).u(120, 8)


def parameter_sets(width: int, height: int, crop: tuple[int, int]) -> list[bytes]:
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


def picture_data(y: NDArray[np.uint8], cb: NDArray[np.uint8], cr: NDArray[np.uint8]) -> bytes:
    data = bytearray(
        _Bits().u(0b10, 2).ue(0, 2, 0).payload()
    )  # first slice, an I slice, QP as it is
    unit = 0
    for top in range(0, y.shape[0], 16):
        for left in range(0, y.shape[1], 16):
            interval = 510 - (2 if unit else 0) - _RANGES[min(unit, 62)]
            data += _code(interval - 2) + y[top : top + 16, left : left + 16].tobytes()
            for plane in (cb, cr):
                data += plane[top // 2 : top // 2 + 8, left // 2 : left // 2 + 8].tobytes()
            unit += 1
    return _nal(20, bytes(data + _code(508)))


def planes(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Full-range BT.601 Y, Cb, Cr (4:2:0), enlarged to whole coding units by repeating the edge."""
    pad = [(0, -side % 16) for side in pixels.shape[:2]]
    rgb = np.pad(pixels, (*pad, (0, 0)), "edge") / 255
    y = rgb @ (0.299, 0.587, 0.114)
    cb, cr = (rgb[..., 2] - y) / 1.772 + 0.5, (rgb[..., 0] - y) / 1.402 + 0.5
    halves = [c.reshape(len(c) // 2, 2, -1, 2).mean((1, 3)) for c in (cb, cr)]
    return [np.rint(plane * 255).clip(0, 255).astype(np.uint8) for plane in (y, *halves)]
