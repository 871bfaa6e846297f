"""Matrix profiles (Display P3, Adobe RGB and most others of cameras and screens) to sRGB, fast.

Table, 3 x 3 matrix, table in whole numbers: a sixth of the time that lcms takes for the same. The
tables are built from the curves and colorants inside the profile (ICC.1:2010, F.3), so a profile
is recognised by its values and not by its name.
"""

import struct

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.color import linear_to_srgb
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.profiles import SRGB

Curve = NDArray[np.float64]

_STEPS = 16383
"""Linear light in 14 bits: a step is a fifth of a level where the sRGB curve is steepest."""

_SCALE = 16384
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_MOST = 7.0  # of a row's sum: more would overflow 32 bits
_TAGS = 100  # a matrix profile has 9 to 20


class MatrixConversion(Struct, frozen=True, eq=False):
    """`curves`: (3, 256) int32, level -> linear light; `matrix`: (3, 3) int32, both scaled."""

    curves: NDArray[np.int32]
    matrix: NDArray[np.int32]

    def apply(self, pixels: Pixels) -> None:
        """(H, W, 3) uint8 to sRGB in place. What sRGB does not hold is clipped in linear light."""
        # numba is loaded for the first photo that needs it, not when a worker starts.
        from gpu_handler.imaging.conversion import convert

        convert(pixels.reshape(-1, 3), self.curves, self.matrix, _ENCODED)


def read_matrix_profile(profile: bytes) -> MatrixConversion | None:
    """The conversion that an RGB matrix profile describes; None for any other profile."""
    try:
        tags = _tags(profile)
        with np.errstate(all="ignore"):  # nonsense gives infinities, which are refused below
            curves = np.array([_curve(profile, tags[name]) for name in _CURVES])
        matrix = np.linalg.inv(_SRGB_COLORANTS) @ _colorants(profile, tags)
    except (IndexError, KeyError, ValueError, struct.error):
        return None
    if not np.isfinite(curves).all() or np.abs(matrix).sum(1).max() > _MOST:
        return None
    lines = np.rint(curves.clip(0, 1) * _STEPS).astype(np.int32)
    return MatrixConversion(lines, np.rint(matrix * _SCALE).astype(np.int32))


def _tags(profile: bytes) -> dict[bytes, int]:
    """Name of a tag -> where it begins (ICC.1:2010, 7.3)."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sI", profile, 132 + 12 * i) for i in range(min(count, _TAGS)))
    return dict(entries)


def _colorants(profile: bytes, tags: dict[bytes, int]) -> Curve:
    """(3, 3) XYZ under D50, a column for each of red, green and blue."""
    columns = [_numbers(profile, tags[name] + 8, 3) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    return np.array(columns).T


def _numbers(profile: bytes, at: int, count: int) -> Curve:
    """s15Fixed16Number."""
    return np.array(struct.unpack_from(f">{count}i", profile, at)) / 65536


def _curve(profile: bytes, at: int) -> Curve:
    """Linear light of the 256 levels (ICC.1:2010, 10.5 and 10.15)."""
    levels = np.arange(256) / 255
    match profile[at : at + 4]:
        case b"curv":
            (count,) = struct.unpack_from(">I", profile, at + 8)
            if count == 0:
                return levels
            points = np.array(struct.unpack_from(f">{count}H", profile, at + 12))
            if count == 1:
                return np.asarray(levels ** (points[0] / 256))
            return np.interp(levels, np.linspace(0, 1, count), points / 65535)
        case b"para":
            (kind,) = struct.unpack_from(">H", profile, at + 8)
            return _parametric(levels, kind, _numbers(profile, at + 12, (1, 3, 4, 5, 7)[kind]))
        case _:
            raise ValueError("a curve of another type")


def _parametric(x: Curve, kind: int, values: Curve) -> Curve:
    """ICC.1:2010, table 65; types 1 and 2 are 3 and 4 with their breaks worked out."""
    g, a, b, c, d, e, f = np.append(values, np.zeros(7 - len(values)))
    match kind:
        case 0:
            a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
        case 1:
            c, d = 0.0, -b / a
        case 2:
            c, d, e, f = 0.0, -b / a, c, c
        case _:
            pass
    return np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)


_ENCODED = np.rint(linear_to_srgb(np.arange(_STEPS + 1) / _STEPS) * 255).astype(np.uint8)
_SRGB_COLORANTS = _colorants(SRGB, _tags(SRGB))
