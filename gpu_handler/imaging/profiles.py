"""ICC profiles of our own: sRGB to convert to, Display P3 where it is only named by a number."""

import struct
from typing import TypeAlias

_Colour: TypeAlias = tuple[float, float, float]

_WHITE: _Colour = (0.9642, 1.0, 0.8249)  # D50, the connection space of every profile


def _matrix_profile(name: str, *colorants: _Colour) -> bytes:
    """An ICC version 4 RGB profile with the sRGB curve (ICC.1:2010, sections 7.2, 8.3.3 and 10).

    `colorants` are the XYZ of pure red, green and blue, adapted to D50.
    """
    words = name.encode("utf-16-be")
    text = b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(words), 28) + words
    curve = b"para" + struct.pack(">4xHxx", 3)
    curve += _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    red, green, blue = map(_xyz, colorants)
    tags = {b"desc": text, b"cprt": text, b"wtpt": _xyz(_WHITE)}
    tags |= {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    kind = struct.pack(">4xI4s4s4s", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    made = struct.pack(">6H4s28x", 2020, 1, 1, 0, 0, 0, b"acsp")
    header = struct.pack(">I", start + len(body)) + kind + made + _fixed(*_WHITE) + bytes(48)
    return header + table + body


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(colour: _Colour) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*colour)


SRGB = _matrix_profile(
    "sRGB",  # the D50-adapted colorants of the ICC's own sRGB profile
    (0.436066, 0.222488, 0.013916),
    (0.385147, 0.716873, 0.097076),
    (0.143066, 0.060608, 0.714096),
)

DISPLAY_P3 = _matrix_profile(
    "Display P3",  # those of the profile that Apple's devices embed
    (0.515121, 0.241196, -0.001053),
    (0.291977, 0.692245, 0.041885),
    (0.157104, 0.066574, 0.784073),
)
