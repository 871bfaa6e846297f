"""Tiles laid on planes in perspective and lit."""

import numpy as np
from numpy.typing import NDArray

from gpu_handler.backends.base import TextureBrush
from gpu_handler.backends.cpu.covers import CpuCover
from gpu_handler.backends.cpu.painting import over, whole
from gpu_handler.backends.cpu.stretching import Index, axis, mix_rows
from gpu_handler.imaging.compiled import compiled
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels

_TAPS = 8
_HORIZON = 1e-6  # instead of 0, where every level but the last is too fine by far
_NO_LIMIT = (0.0, 0.0, 1.0)


def paint_texture(picture: Pixels, cover: CpuCover, brush: TextureBrush) -> None:
    down = axis(picture.shape[0], brush.light.shape[0])
    across = axis(picture.shape[1], brush.light.shape[1])
    sizes = np.array([level.shape[0] for level in brush.levels], np.int64)
    _lay(
        picture,
        cover.alpha,
        cover.rows,
        np.concatenate([level.reshape(-1, 3) for level in brush.levels]),
        sizes,
        np.concatenate(([0], np.cumsum(sizes * sizes)[:-1])),
        np.stack([plane.texels for plane in brush.planes]).astype(np.float64),
        _limits(brush),
        np.ascontiguousarray(brush.light, np.float32),
        down.before,
        down.after,
        down.weight,
        across.before,
        across.after,
        across.weight,
        np.float32(brush.shoulder),
    )


def _limits(brush: TextureBrush) -> NDArray[np.float64]:
    """(planes, n, 3), filled up with limits that always hold."""
    longest = max(1, *(len(plane.limits) for plane in brush.planes))
    rows = [[*plane.limits, *[_NO_LIMIT] * (longest - len(plane.limits))] for plane in brush.planes]
    return np.array(rows, np.float64)


@compiled
def _plane(limits: NDArray[np.float64], x: int, y: int) -> int:
    last = limits.shape[0] - 1
    for p in range(last):
        inside = True
        for k in range(limits.shape[1]):
            a, b, c = limits[p, k, 0], limits[p, k, 1], limits[p, k, 2]
            if a * x + b * y + c < 0:
                inside = False
        if inside:
            return p
    return last


@compiled
def _read(
    texels: Pixels, start: int, size: int, scale: float, u: float, v: float, colour: Floats
) -> None:
    """Three channels of one level at (u, v) of the first, bilinear, wrapped around."""
    at_u, at_v = (u + 0.5) * scale - 0.5, (v + 0.5) * scale - 0.5
    left, top = np.floor(at_u), np.floor(at_v)
    across, down = np.float32(at_u - left), np.float32(at_v - top)
    mask = size - 1
    x0, y0 = np.int64(left) & mask, np.int64(top) & mask
    x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
    for c in range(3):
        first = np.float32(texels[start + y0 * size + x0, c])
        first += (np.float32(texels[start + y0 * size + x1, c]) - first) * across
        second = np.float32(texels[start + y1 * size + x0, c])
        second += (np.float32(texels[start + y1 * size + x1, c]) - second) * across
        colour[c] = first + (second - first) * down


@compiled
def _gather(
    texels: Pixels,
    sizes: Index,
    starts: Index,
    m: NDArray[np.float64],
    x: int,
    y: int,
    colour: Floats,
    scratch: Floats,
) -> int:
    """Add up the taps of the pixel (x, y) in `colour`; returns how many they are."""
    w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    if w == 0:
        w = _HORIZON
    u = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / w
    v = (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / w
    ux, vx = (m[0, 0] - u * m[2, 0]) / w, (m[1, 0] - v * m[2, 0]) / w
    uy, vy = (m[0, 1] - u * m[2, 1]) / w, (m[1, 1] - v * m[2, 1]) / w
    along, beside = np.hypot(ux, vx), np.hypot(uy, vy)
    if along < beside:
        along, beside, ux, vx = beside, along, uy, vy
    taps = int(min(max(np.ceil(along / max(beside, 1.0)), 1.0), _TAPS))
    last = sizes.size - 1
    depth = min(max(np.log2(max(along / taps, 1.0)), 0.0), last)
    level = min(int(depth), last)
    blend = np.float32(depth - level)
    finer, coarser = scratch[0], scratch[1]
    colour[:] = 0
    for t in range(taps):
        shift = (t + 0.5) / taps - 0.5
        at_u, at_v = u + shift * ux, v + shift * vx
        _read(texels, starts[level], sizes[level], 1 / (1 << level), at_u, at_v, finer)
        if blend > 0:
            k = level + 1
            _read(texels, starts[k], sizes[k], 1 / (1 << k), at_u, at_v, coarser)
            for c in range(3):
                finer[c] += (coarser[c] - finer[c]) * blend
        for c in range(3):
            colour[c] += finer[c]
    return taps


@compiled
def _lay(
    picture: Pixels,
    cover: Alpha,
    rows: Index,
    texels: Pixels,
    sizes: Index,
    starts: Index,
    maps: NDArray[np.float64],
    limits: NDArray[np.float64],
    light: Floats,
    up: Index,
    down: Index,
    fall: Floats,
    left: Index,
    right: Index,
    share: Floats,
    shoulder: float,
) -> None:
    line = np.empty((light.shape[1], 3), np.float32)
    colour, scratch = np.empty(3, np.float32), np.empty((2, 3), np.float32)
    room = np.float32(255) - shoulder
    for y in range(cover.shape[0]):
        if rows[y, 0] == rows[y, 1]:
            continue
        mix_rows(light, line, up[y], down[y], fall[y])
        for x in range(rows[y, 0], rows[y, 1]):
            alpha = cover[y, x]
            if alpha == 0:
                continue
            m = maps[_plane(limits, x, y)]
            taps = _gather(texels, sizes, starts, m, x, y, colour, scratch)
            for c in range(3):
                first, second = line[left[x], c], line[right[x], c]
                value = colour[c] / taps * (first + (second - first) * share[x])
                if value > shoulder:
                    value = shoulder + room * (1 - np.exp(-(value - shoulder) / room))
                picture[y, x, c] = over(picture[y, x, c], whole(value), alpha)
