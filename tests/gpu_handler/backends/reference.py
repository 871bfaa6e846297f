"""The slow and obvious canvas: the formulas of the interface in float64, whole pictures at once."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from gpu_handler.backends.base import (
    GRAIN,
    LIT,
    STEPS,
    TABLE,
    Brush,
    Cover,
    CurveBrush,
    Edges,
    FillBrush,
    Plane,
    Proof,
    TableBrush,
    TextureBrush,
)
from gpu_handler.backends.edges import EPSILON, GAIN, HIGH, LOW, SOFT, WORK, weigh
from gpu_handler.imaging.color import LUMINANCE, linear_to_srgb, srgb_to_linear
from gpu_handler.imaging.pixels import Alpha, Pixels, shrink

Array: TypeAlias = NDArray[Any]

HORIZON = 1e-6
"""So near is a pixel centre that lies on a plane's horizon itself."""


class ReferenceCover:
    def __init__(self, alpha: NDArray[np.integer[Any]]) -> None:
        self.alpha = alpha.astype(np.int64)

    def host(self) -> Alpha:
        return self.alpha.astype(np.uint8)


class ReferenceBackend:
    name = "reference"

    def open(self, photo: Pixels) -> "ReferenceCanvas":
        return ReferenceCanvas(photo)


class ReferenceCanvas:
    def __init__(self, photo: Pixels) -> None:
        self.first = photo.astype(np.int64)
        self.photo, self.now = self.first, self.first.copy()

    @property
    def shape(self) -> tuple[int, int]:
        return self.photo.shape[0], self.photo.shape[1]

    def refine(self, logits: NDArray[np.float32], edges: Edges = Edges.FINE) -> Cover:
        guide = shrink(self.photo.astype(np.uint8), WORK)
        evidence = weigh(logits, max(guide.shape))
        height, width = self.shape
        if edges is Edges.SOFT:
            soft = stretched(np.clip(evidence.logits.astype(float), -SOFT, SOFT), self.shape)
            return ReferenceCover(rounded(255 / (1 + np.exp(-soft))))
        if evidence.constant is not None:
            return ReferenceCover(np.full(self.shape, evidence.constant))
        slope, offset = guided(guide / 255, evidence.logits.astype(float), evidence.radius)
        value = (stretched(slope, self.shape) * self.photo / 255).sum(-1)
        t = np.clip((value + stretched(offset, self.shape) - LOW) / (HIGH - LOW), 0, 1)
        fine = t * t * (3 - 2 * t)
        grid = evidence.inside.shape
        rows = np.minimum(((np.arange(height) + 0.5) * grid[0] / height).astype(int), grid[0] - 1)
        columns = np.minimum(((np.arange(width) + 0.5) * grid[1] / width).astype(int), grid[1] - 1)
        stairs = evidence.inside[rows][:, columns] / 255
        near = stretched(evidence.band.astype(float), self.shape)
        return ReferenceCover(rounded(255 * (stairs + (fine - stairs) * near)))

    def stretch(self, alpha: Alpha) -> Cover:
        if alpha.shape == self.shape:
            return ReferenceCover(alpha)
        return ReferenceCover(rounded(stretched(alpha.astype(float), self.shape)))

    def union(self, covers: Sequence[Cover]) -> Cover:
        return ReferenceCover(np.max([levels(cover) for cover in covers], 0))

    def spared(self, cover: Cover, shield: Cover) -> Cover:
        keep = np.maximum(0, 255 - 2 * levels(shield))
        return ReferenceCover(rounded(levels(cover) * keep / 255))

    def divided(self, covers: Sequence[Cover]) -> list[Cover]:
        taken = np.zeros(self.shape, np.int64)
        shares: list[Cover] = []
        for cover in reversed(covers):
            room = 255 - taken
            weight = np.minimum(levels(cover), room)
            share = (510 * weight + room) // np.maximum(2 * room, 1)
            shares.append(ReferenceCover(np.where(room > 0, share, 0)))
            taken = taken + weight
        return shares[::-1]

    def carried(self, cover: Cover, hole: Cover, brush: FillBrush) -> Cover:
        own = levels(cover)
        out = own.copy()
        part, (x, y) = box(brush), places(brush)
        carried = rounded(levels(hole)[part] * bilinear(own.astype(float), x, y) / 255)
        out[part] = np.maximum(out[part], carried)
        return ReferenceCover(out)

    def samples(self, cover: Cover, *, painted: bool = False) -> NDArray[np.uint8]:
        pixels, alpha = (self.now if painted else self.photo).astype(np.uint8), levels(cover)
        for least in (243, 1):
            count = int((alpha >= least).sum())
            if count:
                step = max(1, math.isqrt(count // 20_000))
                taken = pixels[::step, ::step][alpha[::step, ::step] >= least]
                return taken if len(taken) else pixels[alpha >= least]
        return pixels[:0, 0]

    def small(self, longest_side: int, *, painted: bool = False) -> Pixels:
        return shrink((self.now if painted else self.photo).astype(np.uint8), longest_side)

    def small_cover(self, cover: Cover, longest_side: int) -> Alpha:
        return shrink(cover.host(), longest_side)

    def paint(self, cover: Cover, brush: Brush) -> None:
        alpha = levels(cover)[..., None]
        if isinstance(brush, FillBrush):
            inside = np.zeros(self.shape, bool)
            inside[box(brush)] = True
            alpha = np.where(inside[..., None], alpha, 0)
        new = np.clip(rounded(self._made(brush)), 0, 255)
        mixed = (self.now * (255 - alpha) + new * alpha + 127) // 255
        self.now = np.where(alpha == 0, self.now, mixed)

    def _made(self, brush: Brush) -> Array:
        match brush:
            case TableBrush():
                return tabled(self.photo, brush)
            case CurveBrush():
                return curved(self.photo, brush)
            case TextureBrush():
                return textured(self.shape, brush)
            case FillBrush():
                return filled(self.photo, brush)

    def settle(self) -> None:
        self.photo = self.now.copy()

    def proof(self, shield: Cover) -> Proof:
        inside = levels(shield) >= 128
        difference = np.abs(self.now - self.first).max(-1)[inside]
        most = int(difference.max()) if difference.size else 0
        return Proof(difference.size, int((difference > 0).sum()), most)

    def picture(self) -> Pixels:
        return self.now.astype(np.uint8)


def levels(cover: Cover) -> NDArray[np.int64]:
    return cast(ReferenceCover, cover).alpha


def rounded(values: Array) -> NDArray[np.int64]:
    return np.floor(values + 0.5).astype(np.int64)


def stretched(small: Array, shape: tuple[int, int]) -> Array:
    """Bilinear between cell centres, edges repeated."""
    y = np.clip((np.arange(shape[0]) + 0.5) * small.shape[0] / shape[0] - 0.5, 0, None)
    x = np.clip((np.arange(shape[1]) + 0.5) * small.shape[1] / shape[1] - 0.5, 0, None)
    wide, high = np.ones_like(x)[None], np.ones_like(y)[:, None]
    return bilinear(small, x[None] * high, y[:, None] * wide)


def bilinear(image: Array, x: Array, y: Array) -> Array:
    """(h, w) or (h, w, C) read at (x, y), clamped to its edges."""
    height, width = image.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = x - x0, y - y0
    if image.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    return top * (1 - fy) + (image[y1, x0] * (1 - fx) + image[y1, x1] * fx) * fy


def boxed(values: Array, radius: int) -> Array:
    """Means of windows, borders mirrored with the edge repeated."""
    for side in (0, 1):  # a window may be larger than the picture
        size: int = values.shape[side]
        wide: Array = np.take(values, mirrored(size, radius), side)
        sums = np.zeros_like(values)
        for d in range(2 * radius + 1):
            sums += np.take(wide, np.arange(d, d + size), side)
        values = sums / (2 * radius + 1)
    return values


def mirrored(size: int, radius: int) -> NDArray[np.int64]:
    place = np.arange(-radius, size + radius) % (2 * size)
    return np.where(place < size, place, 2 * size - 1 - place)


def guided(guide: Array, logits: Array, radius: int) -> tuple[Array, Array]:
    mask = 1 / (1 + np.exp(-GAIN * stretched(logits, (guide.shape[0], guide.shape[1]))))
    mean, mask_mean = boxed(guide, radius), boxed(mask, radius)
    shared = boxed(guide * mask[..., None], radius) - mean * mask_mean[..., None]
    products = guide[..., :, None] * guide[..., None, :]
    flat = boxed(products.reshape(*mask.shape, 9), radius).reshape(*mask.shape, 3, 3)
    spread = flat - mean[..., :, None] * mean[..., None, :] + EPSILON * np.eye(3)
    slope = np.linalg.solve(spread, shared[..., None])[..., 0]
    offset = mask_mean - (slope * mean).sum(-1)
    return boxed(slope, radius), boxed(offset, radius)


def tabled(photo: NDArray[np.int64], brush: TableBrush) -> Array:
    old = photo.astype(float)
    grey = ((photo @ np.array((299, 587, 114)) + 500) // 1000).astype(float)
    place = grey
    if brush.base is not None:
        base = stretched(brush.base.astype(float), (photo.shape[0], photo.shape[1]))
        place = grey - (1 - brush.detail) * np.clip(grey - base, -GRAIN, GRAIN)
    entry = np.clip(rounded(STEPS * place), 0, TABLE - 1)
    new = brush.table.astype(float)[entry]
    ratio = np.clip((old + 2) / (grey[..., None] * brush.tint + 2), 0.75, 1.33)
    shift = new * brush.residual * (ratio - 1)
    room = np.maximum(0, LIT - new)
    bent = shift * room / np.maximum(room + shift, 1)
    return new + np.where(shift > 0, bent, shift)


def curved(photo: NDArray[np.int64], brush: CurveBrush) -> Array:
    old = srgb_to_linear(photo / 255)
    light = old @ LUMINANCE
    moved = old * brush.gains
    gained = moved @ LUMINANCE
    moved = moved * np.where(gained > 0, light / np.where(gained > 0, gained, 1), 0)[..., None]
    away = (moved - light[..., None]) * brush.saturation
    room = np.where(away > 0, 1 - light[..., None], -light[..., None])
    fits = np.where(away != 0, room / np.where(away != 0, away, 1), 1).min(-1, keepdims=True)
    encoded = linear_to_srgb(np.clip(light[..., None] + away * np.minimum(fits, 1), 0, 1))
    return brush.curve.astype(float)[rounded(encoded * (TABLE - 1))]


def textured(shape: tuple[int, int], brush: TextureBrush) -> Array:
    y, x = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    taken = np.full(shape, len(brush.planes) - 1)
    for number in range(len(brush.planes) - 2, -1, -1):
        inside = np.ones(shape, bool)
        for a, b, c in brush.planes[number].limits:
            inside &= a * x + b * y + c >= 0
        taken = np.where(inside, number, taken)
    colour = np.zeros((*shape, 3))
    for number, plane in enumerate(brush.planes):
        colour = np.where((taken == number)[..., None], on_plane(plane, brush, x, y), colour)
    lit = colour * stretched(brush.light.astype(float), shape)
    room = 255 - brush.shoulder
    bent = brush.shoulder + room * (1 - np.exp(-np.maximum(lit - brush.shoulder, 0) / room))
    return np.where(lit > brush.shoulder, bent, lit)


def on_plane(
    plane: Plane, brush: TextureBrush, x: NDArray[np.int64], y: NDArray[np.int64]
) -> Array:
    m = plane.texels
    with np.errstate(all="ignore"):
        w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
        w = np.where(w == 0, HORIZON, w)
        u: Array = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / w
        v: Array = (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / w
        ux, vx = (m[0, 0] - u * m[2, 0]) / w, (m[1, 0] - v * m[2, 0]) / w
        uy, vy = (m[0, 1] - u * m[2, 1]) / w, (m[1, 1] - v * m[2, 1]) / w
    along, beside = np.hypot(ux, vx), np.hypot(uy, vy)
    swap = along < beside
    du, dv = chosen(swap, uy, ux), chosen(swap, vy, vx)
    longer, shorter = np.maximum(along, beside), np.minimum(along, beside)
    taps = np.clip(np.ceil(longer / np.maximum(shorter, 1)), 1, 8)
    level = np.clip(np.log2(np.maximum(longer / taps, 1)), 0, len(brush.levels) - 1)
    total = np.zeros((*x.shape, 3))
    for t in range(int(taps.max())):
        shift = (t + 0.5) / taps - 0.5
        read = trilinear(brush.levels, u + shift * du, v + shift * dv, level)
        total += np.where((t < taps)[..., None], read, 0)
    return total / taps[..., None]


def chosen(where: Array, first: Array, second: Array) -> Array:
    return np.where(where, first, second)


def trilinear(tile: Sequence[Pixels], u: Array, v: Array, level: Array) -> Array:
    lower = np.floor(level).astype(int)
    part = (level - lower)[..., None]
    out = np.zeros((*u.shape, 3))
    for k, texels in enumerate(tile):
        if not np.isin(k - lower, (0, 1)).any():
            continue
        read = wrapped(texels.astype(float), (u + 0.5) / 2**k - 0.5, (v + 0.5) / 2**k - 0.5)
        out += np.where((lower == k)[..., None], read * (1 - part), 0)
        out += np.where((lower + 1 == k)[..., None], read * part, 0)
    return out


def wrapped(texels: Array, u: Array, v: Array) -> Array:
    n = texels.shape[0]
    x0, y0 = np.floor(u).astype(int), np.floor(v).astype(int)
    fx, fy = (u - x0)[..., None], (v - y0)[..., None]
    x0, y0, x1, y1 = x0 % n, y0 % n, (x0 + 1) % n, (y0 + 1) % n
    top = texels[y0, x0] * (1 - fx) + texels[y0, x1] * fx
    return top * (1 - fy) + (texels[y1, x0] * (1 - fx) + texels[y1, x1] * fx) * fy


def box(brush: FillBrush) -> tuple[slice, slice]:
    x0, y0, x1, y1 = brush.box
    return slice(y0, y1), slice(x0, x1)


def places(brush: FillBrush) -> tuple[Array, Array]:
    """x and y in the photo that each pixel of the box comes from."""
    x0, y0, x1, y1 = brush.box
    h, w = brush.source.shape[:2]
    rows = np.arange(y1 - y0) * h // (y1 - y0)
    columns = np.arange(x1 - x0) * w // (x1 - x0)
    moved = brush.source.astype(float)[rows][:, columns]
    y, x = np.meshgrid(np.arange(y0, y1), np.arange(x0, x1), indexing="ij")
    return x + moved[..., 0], y + moved[..., 1]


def filled(photo: NDArray[np.int64], brush: FillBrush) -> Array:
    out = photo.astype(float)
    rows, columns = box(brush)
    shape = rows.stop - rows.start, columns.stop - columns.start
    correction = stretched(brush.correction.astype(float), shape)
    out[rows, columns] = bilinear(photo.astype(float), *places(brush)) + correction
    return out
