"""Holes filled from elsewhere in the photo, and covers continued over them."""

import numpy as np

from gpu_handler.backends.base import FillBrush
from gpu_handler.backends.cpu.covers import CpuCover
from gpu_handler.backends.cpu.painting import over, whole
from gpu_handler.backends.cpu.stretching import Index, axis, mix_rows
from gpu_handler.imaging.compiled import compiled
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels


def fill(photo: Pixels, picture: Pixels, cover: CpuCover, brush: FillBrush) -> None:
    x0, y0, x1, y1 = brush.box
    down = axis(y1 - y0, brush.correction.shape[0])
    across = axis(x1 - x0, brush.correction.shape[1])
    _fill(
        photo,
        picture,
        cover.alpha,
        np.array(brush.box, np.int64),
        np.ascontiguousarray(brush.source, np.float32),
        np.ascontiguousarray(brush.correction, np.float32),
        down.before,
        down.after,
        down.weight,
        across.before,
        across.after,
        across.weight,
    )


def carry(alpha: Alpha, hole: Alpha, brush: FillBrush) -> Alpha:
    out = alpha.copy()
    source = np.ascontiguousarray(brush.source, np.float32)
    _carry(alpha[..., None], hole, np.array(brush.box, np.int64), source, out)
    return out


@compiled
def _read(image: Pixels, x: float, y: float, c: int) -> float:
    """One channel of `image` (H, W, C), bilinear, its edges repeated."""
    height, width = image.shape[0], image.shape[1]
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    across, down = x - left, y - top
    first = image[top, left, c] * (1 - across) + image[top, right, c] * across
    second = image[bottom, left, c] * (1 - across) + image[bottom, right, c] * across
    return first * (1 - down) + second * down


@compiled
def _fill(
    photo: Pixels,
    picture: Pixels,
    cover: Alpha,
    box: Index,
    source: Floats,
    correction: Floats,
    up: Index,
    down: Index,
    fall: Floats,
    left: Index,
    right: Index,
    share: Floats,
) -> None:
    x0, y0, x1, y1 = box
    h, w = source.shape[0], source.shape[1]
    line = np.empty((correction.shape[1], 3), np.float32)
    for y in range(y0, y1):
        mix_rows(correction, line, up[y - y0], down[y - y0], fall[y - y0])
        row = (y - y0) * h // (y1 - y0)
        for x in range(x0, x1):
            alpha = cover[y, x]
            if alpha == 0:
                continue
            column = (x - x0) * w // (x1 - x0)
            at_x = x + np.float64(source[row, column, 0])
            at_y = y + np.float64(source[row, column, 1])
            k = x - x0
            for c in range(3):
                first, second = line[left[k], c], line[right[k], c]
                value = _read(photo, at_x, at_y, c) + first + (second - first) * share[k]
                picture[y, x, c] = over(picture[y, x, c], whole(value), alpha)


@compiled
def _carry(alpha: Pixels, hole: Alpha, box: Index, source: Floats, out: Alpha) -> None:
    x0, y0, x1, y1 = box
    h, w = source.shape[0], source.shape[1]
    for y in range(y0, y1):
        row = (y - y0) * h // (y1 - y0)
        for x in range(x0, x1):
            if hole[y, x] == 0:
                continue
            column = (x - x0) * w // (x1 - x0)
            at_x = x + np.float64(source[row, column, 0])
            at_y = y + np.float64(source[row, column, 1])
            value = _read(alpha, at_x, at_y, 0) * hole[y, x] / 255
            out[y, x] = max(out[y, x], np.uint8(value + 0.5))
