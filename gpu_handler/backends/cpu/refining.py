"""Logits to an alpha at full size; `gpu_handler.backends.edges` has the formulas."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.backends.cpu.stretching import Axis, Index, axis, mix_rows, spans
from gpu_handler.backends.edges import EPSILON, GAIN, HIGH, LOW, SOFT, WORK, Evidence
from gpu_handler.imaging.compiled import compiled
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels, shrink

_FINE = 4096  # steps of the sigmoid's table; one is a quarter of a level where it is steepest


class Guide:
    """A photo at the filter's size, with what its windows have in common for every mask."""

    def __init__(self, photo: Pixels) -> None:
        self.shape = photo.shape[0], photo.shape[1]
        self.rgb = np.divide(shrink(photo, WORK), 255, dtype=np.float32)
        self._windows: dict[int, tuple[Floats, Floats]] = {}

    @property
    def longest_side(self) -> int:
        return max(self.rgb.shape)

    def model(self, evidence: Evidence) -> Floats:
        """(h, w, 4) float32: slopes for red, green and blue (0..255), and the offset."""
        mean, inverse = self._statistics(evidence.radius)
        mask = self._mask(evidence)
        radius = evidence.radius
        mask_mean = _box(mask, radius)
        shared = _box(self.rgb * mask[..., None], radius) - mean * mask_mean[..., None]
        model = np.empty((*mask.shape, 4), np.float32)
        _solve(shared, inverse, mean, mask_mean, model)
        model = _box(model, radius)
        model[..., :3] /= 255
        return model

    def _mask(self, evidence: Evidence) -> Floats:
        height, width = self.rgb.shape[:2]
        size = (width, height)
        logits = cv2.resize(evidence.logits, size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(1 / (1 + cv2.exp(-GAIN * np.asarray(logits))), np.float32)

    def _statistics(self, radius: int) -> tuple[Floats, Floats]:
        """Means (h, w, 3), and the inverse covariances (h, w, 6): rr, rg, rb, gg, gb, bb."""
        if radius not in self._windows:
            rgb = self.rgb
            mean = _box(rgb, radius)
            squares = _box(rgb * rgb, radius)
            mixed = _box(rgb * rgb[..., (1, 2, 0)], radius)
            inverse = np.empty((*rgb.shape[:2], 6), np.float32)
            _invert(mean, squares, mixed, EPSILON, inverse)
            self._windows[radius] = mean, inverse
        return self._windows[radius]


def fine(photo: Pixels, guide: Guide, evidence: Evidence) -> Alpha:
    """(H, W) alpha of a mask that has a boundary."""
    height, width = photo.shape[:2]
    grid = evidence.inside.shape
    model = guide.model(evidence)
    down, across = axis(height, grid[0]), axis(width, grid[1])
    fine_down, fine_across = axis(height, model.shape[0]), axis(width, model.shape[1])
    out = np.empty((height, width), np.uint8)
    nearest = np.minimum(((np.arange(width) + 0.5) * grid[1] / width).astype(np.int32), grid[1] - 1)
    _refine(
        photo,
        model,
        *_parts(fine_down),
        *_parts(fine_across),
        evidence.band[..., None],
        evidence.inside,
        *_parts(down),
        *_parts(across),
        spans(across.before),
        nearest,
        out,
    )
    return out


def soft(evidence: Evidence, shape: tuple[int, int]) -> Alpha:
    """(H, W) alpha: the logits stretched, through the sigmoid."""
    logits = np.clip(evidence.logits, -SOFT, SOFT)
    steps = np.linspace(-SOFT, SOFT, _FINE)
    table = np.floor(255 / (1 + np.exp(-steps)) + 0.5).astype(np.uint8)
    down, across = axis(shape[0], logits.shape[0]), axis(shape[1], logits.shape[1])
    index = (logits + SOFT) * ((_FINE - 1) / (2 * SOFT))
    out = np.empty(shape, np.uint8)
    _soften(
        np.ascontiguousarray(index[..., None], np.float32),
        table,
        *_parts(down),
        *_parts(across),
        spans(across.before),
        out,
    )
    return out


def _parts(side: Axis) -> tuple[Index, Index, NDArray[np.float32]]:
    return side.before, side.after, side.weight


def _box(values: Floats, radius: int) -> Floats:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


@compiled
def _invert(mean: Floats, squares: Floats, mixed: Floats, epsilon: float, inverse: Floats) -> None:
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            r, g, b = mean[y, x, 0], mean[y, x, 1], mean[y, x, 2]
            rr = squares[y, x, 0] - r * r + epsilon
            gg = squares[y, x, 1] - g * g + epsilon
            bb = squares[y, x, 2] - b * b + epsilon
            rg = mixed[y, x, 0] - r * g
            gb = mixed[y, x, 1] - g * b
            rb = mixed[y, x, 2] - b * r
            i_rr = gg * bb - gb * gb
            i_rg = gb * rb - rg * bb
            i_rb = rg * gb - gg * rb
            share = 1 / (i_rr * rr + i_rg * rg + i_rb * rb)
            inverse[y, x, 0] = i_rr * share
            inverse[y, x, 1] = i_rg * share
            inverse[y, x, 2] = i_rb * share
            inverse[y, x, 3] = (rr * bb - rb * rb) * share
            inverse[y, x, 4] = (rb * rg - rr * gb) * share
            inverse[y, x, 5] = (rr * gg - rg * rg) * share


@compiled
def _solve(shared: Floats, inverse: Floats, mean: Floats, mask_mean: Floats, model: Floats) -> None:
    for y in range(shared.shape[0]):
        for x in range(shared.shape[1]):
            r, g, b = shared[y, x, 0], shared[y, x, 1], shared[y, x, 2]
            i = inverse[y, x]
            red = i[0] * r + i[1] * g + i[2] * b
            green = i[1] * r + i[3] * g + i[4] * b
            blue = i[2] * r + i[4] * g + i[5] * b
            model[y, x, 0], model[y, x, 1], model[y, x, 2] = red, green, blue
            model[y, x, 3] = mask_mean[y, x] - (
                red * mean[y, x, 0] + green * mean[y, x, 1] + blue * mean[y, x, 2]
            )


@compiled
def _refine(
    photo: Pixels,
    model: Floats,
    model_up: Index,
    model_down: Index,
    model_fall: Floats,
    model_left: Index,
    model_right: Index,
    model_share: Floats,
    band: Floats,
    inside: Alpha,
    up: Index,
    down: Index,
    fall: Floats,
    left: Index,
    right: Index,
    share: Floats,
    runs: Index,
    nearest: Index,
    out: Alpha,
) -> None:
    """Row by row: runs of pixels far from the boundary are filled, the others worked out."""
    height, grid_height = out.shape[0], inside.shape[0]
    line = np.empty((model.shape[1], 4), np.float32)
    near = np.empty((band.shape[1], 1), np.float32)
    for y in range(height):
        mix_rows(band, near, up[y], down[y], fall[y])
        row = min(np.int32((y + 0.5) * grid_height / height), grid_height - 1)
        ready = False
        k = 0
        while k < runs.shape[0]:
            start, end = runs[k, 0], runs[k, 1]
            k += 1
            if near[left[start], 0] == 0 and near[right[start], 0] == 0:
                # Far from the boundary all cells up to it are on the same side.
                while k < runs.shape[0] and near[right[runs[k, 0]], 0] == 0:
                    end = runs[k, 1]
                    k += 1
                out[y, start:end] = inside[row, nearest[start]]
                continue
            if not ready:
                mix_rows(model, line, model_up[y], model_down[y], model_fall[y])
                ready = True
            for x in range(start, end):
                weight = near[left[x], 0] + (near[right[x], 0] - near[left[x], 0]) * share[x]
                i, j, part = model_left[x], model_right[x], model_share[x]
                value = line[i, 3] + (line[j, 3] - line[i, 3]) * part
                for c in range(3):
                    slope = line[i, c] + (line[j, c] - line[i, c]) * part
                    value += slope * np.float32(photo[y, x, c])
                t = (value - np.float32(LOW)) * np.float32(1 / (HIGH - LOW))
                t = min(max(t, np.float32(0)), np.float32(1))
                t = t * t * (np.float32(3) - np.float32(2) * t) * np.float32(255)
                stairs = np.float32(inside[row, nearest[x]])
                new = stairs + (t - stairs) * weight
                out[y, x] = np.uint8(new + np.float32(0.5))


@compiled
def _soften(
    index: Floats,
    table: Alpha,
    up: Index,
    down: Index,
    fall: Floats,
    left: Index,
    right: Index,
    share: Floats,
    runs: Index,
    out: Alpha,
) -> None:
    line = np.empty((index.shape[1], 1), np.float32)
    for y in range(out.shape[0]):
        mix_rows(index, line, up[y], down[y], fall[y])
        k = 0
        while k < runs.shape[0]:
            start, end = runs[k, 0], runs[k, 1]
            first, second = line[left[start], 0], line[right[start], 0]
            k += 1
            if first == second:
                while k < runs.shape[0] and line[right[runs[k, 0]], 0] == first:
                    end = runs[k, 1]
                    k += 1
                out[y, start:end] = table[np.int32(first + np.float32(0.5))]
                continue
            for x in range(start, end):
                value = first + (second - first) * share[x]
                out[y, x] = table[np.int32(value + 0.5)]
