"""Tables and curves laid over a picture."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gpu_handler.backends.base import GRAIN, LIT, STEPS, TABLE, CurveBrush, TableBrush
from gpu_handler.backends.cpu.covers import CpuCover
from gpu_handler.backends.cpu.stretching import Index, axis, mix_rows
from gpu_handler.imaging.color import LUMINANCE, linear_to_srgb, srgb_to_linear
from gpu_handler.imaging.compiled import compiled
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels

_LEAST, _MOST = 0.75, 1.33  # how far a channel may deviate for coloured light
_ROOTS = 16384
"""Steps of the table from the square root of linear light: a quarter of a curve's own step."""


def paint_table(photo: Pixels, picture: Pixels, cover: CpuCover, brush: TableBrush) -> None:
    residual = np.float32(brush.residual)
    if brush.base is None:
        levels = np.empty((256, 256, 3), np.uint8)
        _tabulate(brush.table[::STEPS], brush.tint, residual, levels)
        _lay_levels(photo, picture, cover.alpha, cover.rows, levels)
        return
    down, across = (
        axis(picture.shape[0], brush.base.shape[0]),
        axis(picture.shape[1], brush.base.shape[1]),
    )
    _lay_softened(
        photo,
        picture,
        cover.alpha,
        cover.rows,
        np.ascontiguousarray(brush.base[..., None], np.float32),
        down.before,
        down.after,
        down.weight,
        across.before,
        across.after,
        across.weight,
        np.floor(np.clip(brush.table, 0, 255) + np.float32(0.5)).astype(np.uint8),
        *_light(brush.tint, residual),
        np.float32(brush.detail),
    )


def _light(tint: Floats, residual: float) -> tuple[Pixels, Alpha]:
    """Coloured light in two steps, each small enough for a core's cache.

    (256, 256, 3) how a channel deviates, by grey and old value; (256, 256) what becomes of a new
    value, by deviation.
    """
    deviation = np.empty((256, 256, 3), np.uint8)
    moved = np.empty((256, 256), np.uint8)
    _deviate(tint, deviation)
    _move(residual, moved)
    return deviation, moved


def paint_curves(photo: Pixels, picture: Pixels, cover: CpuCover, brush: CurveBrush) -> None:
    moves = bool((brush.gains != brush.gains[0]).any()) or brush.saturation != 1
    if not moves:
        steps = np.floor(brush.curve[::STEPS] + np.float32(0.5))
        levels = np.clip(steps, 0, 255).astype(np.uint8)
        _lay_curve(photo, picture, cover.alpha, cover.rows, levels)
        return
    encode, linear = _encoded_roots(), _linear()
    curve = np.clip(brush.curve[encode], 0, 255).astype(np.float32)
    luminance = LUMINANCE.astype(np.float32)
    _lay_shifted(
        photo,
        picture,
        cover.alpha,
        cover.rows,
        linear,
        luminance,
        brush.gains.astype(np.float32),
        np.float32(brush.saturation),
        curve,
    )


@lru_cache(1)
def _linear() -> Floats:
    return srgb_to_linear(np.arange(256) / 255).astype(np.float32)


@lru_cache(1)
def _encoded_roots() -> NDArray[np.int32]:
    """For each square root of linear light, in steps of 1 / _ROOTS, the place on a curve."""
    roots = np.linspace(0, 1, _ROOTS + 1)
    return np.floor(linear_to_srgb(roots * roots) * (TABLE - 1) + 0.5).astype(np.int32)


@compiled
def over(old: int, new: int, cover: int) -> int:
    """What the interface calls laying one pixel over another."""
    return (np.int32(old) * (255 - np.int32(cover)) + np.int32(new) * np.int32(cover) + 127) // 255


@compiled
def ratio_of(old: int, expected: float) -> float:
    """How a channel deviates from what the surface's tint lets expect, within bounds."""
    ratio = (old + np.float32(2)) / (expected + np.float32(2))
    return min(max(ratio, np.float32(_LEAST)), np.float32(_MOST))


@compiled
def lit(new: float, ratio: float, residual: float) -> float:
    """A new value with what `ratio` says of coloured light."""
    shift = new * residual * (ratio - np.float32(1))
    if shift > 0:
        room = max(np.float32(LIT) - new, np.float32(0))
        shift = shift * room / max(room + shift, np.float32(1))
    return new + shift


@compiled
def whole(value: float) -> int:
    """Rounded and clipped to 0..255."""
    return np.int32(min(max(value + np.float32(0.5), np.float32(0)), np.float32(255)))


@compiled
def grey_of(red: int, green: int, blue: int) -> int:
    return (299 * np.int32(red) + 587 * np.int32(green) + 114 * np.int32(blue) + 500) // 1000


@compiled
def _tabulate(table: Floats, tint: Floats, residual: float, levels: Pixels) -> None:
    """(256, 256, 3) new values by the grey of a pixel and the old value of a channel."""
    for grey in range(256):
        for old in range(256):
            for c in range(3):
                ratio = ratio_of(old, grey * tint[c])
                levels[grey, old, c] = whole(lit(table[grey, c], ratio, residual))


@compiled
def _deviate(tint: Floats, deviation: Pixels) -> None:
    for grey in range(256):
        for old in range(256):
            for c in range(3):
                ratio = ratio_of(old, grey * tint[c])
                deviation[grey, old, c] = whole((ratio - _LEAST) * (255 / (_MOST - _LEAST)))


@compiled
def _move(residual: float, moved: Alpha) -> None:
    for new in range(256):
        for step in range(256):
            ratio = np.float32(_LEAST + step * ((_MOST - _LEAST) / 255))
            moved[new, step] = whole(lit(np.float32(new), ratio, residual))


@compiled
def _lay_levels(photo: Pixels, picture: Pixels, cover: Alpha, rows: Index, levels: Pixels) -> None:
    for y in range(cover.shape[0]):
        for x in range(rows[y, 0], rows[y, 1]):
            alpha = cover[y, x]
            if alpha == 0:
                continue
            red, green, blue = photo[y, x, 0], photo[y, x, 1], photo[y, x, 2]
            grey = grey_of(red, green, blue)
            if alpha == 255:
                picture[y, x, 0] = levels[grey, red, 0]
                picture[y, x, 1] = levels[grey, green, 1]
                picture[y, x, 2] = levels[grey, blue, 2]
            else:
                picture[y, x, 0] = over(picture[y, x, 0], levels[grey, red, 0], alpha)
                picture[y, x, 1] = over(picture[y, x, 1], levels[grey, green, 1], alpha)
                picture[y, x, 2] = over(picture[y, x, 2], levels[grey, blue, 2], alpha)


@compiled
def _lay_softened(
    photo: Pixels,
    picture: Pixels,
    cover: Alpha,
    rows: Index,
    base: Floats,
    up: Index,
    down: Index,
    fall: Floats,
    left: Index,
    right: Index,
    share: Floats,
    table: Pixels,
    deviation: Pixels,
    moved: Alpha,
    detail: float,
) -> None:
    line = np.empty((base.shape[1], 1), np.float32)
    last = table.shape[0] - 1
    for y in range(cover.shape[0]):
        if rows[y, 0] == rows[y, 1]:
            continue
        mix_rows(base, line, up[y], down[y], fall[y])
        for x in range(rows[y, 0], rows[y, 1]):
            alpha = cover[y, x]
            if alpha == 0:
                continue
            red, green, blue = photo[y, x, 0], photo[y, x, 1], photo[y, x, 2]
            grey = grey_of(red, green, blue)
            smooth = line[left[x], 0] + (line[right[x], 0] - line[left[x], 0]) * share[x]
            grain = min(max(np.float32(grey) - smooth, -np.float32(GRAIN)), np.float32(GRAIN))
            place = (np.float32(grey) - (np.float32(1) - detail) * grain) * np.float32(STEPS)
            entry = min(max(np.int32(place + np.float32(0.5)), 0), last)
            for c in range(3):
                new = moved[table[entry, c], deviation[grey, photo[y, x, c], c]]
                picture[y, x, c] = new if alpha == 255 else over(picture[y, x, c], new, alpha)


@compiled
def _lay_curve(photo: Pixels, picture: Pixels, cover: Alpha, rows: Index, levels: Alpha) -> None:
    for y in range(cover.shape[0]):
        for x in range(rows[y, 0], rows[y, 1]):
            alpha = cover[y, x]
            if alpha:
                for c in range(3):
                    picture[y, x, c] = over(picture[y, x, c], levels[photo[y, x, c]], alpha)


@compiled
def _lay_shifted(
    photo: Pixels,
    picture: Pixels,
    cover: Alpha,
    rows: Index,
    linear: Floats,
    luminance: Floats,
    gains: Floats,
    saturation: float,
    curve: Floats,
) -> None:
    moved = np.empty(3, np.float32)
    for y in range(cover.shape[0]):
        for x in range(rows[y, 0], rows[y, 1]):
            alpha = cover[y, x]
            if alpha == 0:
                continue
            light, gained = np.float32(0), np.float32(0)
            for c in range(3):
                value = linear[photo[y, x, c]]
                light += value * luminance[c]
                moved[c] = value * gains[c]
                gained += moved[c] * luminance[c]
            scale = light / gained if gained > 0 else np.float32(0)
            # The largest share of the distance from grey that stays in 0..1.
            fits = np.float32(1)
            for c in range(3):
                moved[c] = (moved[c] * scale - light) * saturation
                if light + moved[c] > 1:
                    fits = min(fits, (1 - light) / moved[c])
                elif light + moved[c] < 0:
                    fits = min(fits, -light / moved[c])
            for c in range(3):
                value = min(max(light + moved[c] * fits, np.float32(0)), np.float32(1))
                place = np.int32(np.sqrt(value) * np.float32(_ROOTS) + np.float32(0.5))
                picture[y, x, c] = over(picture[y, x, c], whole(curve[place]), alpha)
