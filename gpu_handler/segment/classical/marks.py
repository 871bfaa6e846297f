"""What is printed or stuck on a product, and the light on it: label, logo, gloss."""

from collections.abc import Callable

import cv2
import numpy as np
from msgspec import Struct

from gpu_handler.segment.classical.palette import palette
from gpu_handler.segment.classical.shapes import (
    Floats,
    Mask,
    closed,
    filled,
    local_mean,
    opened,
    outlines,
    pieces,
    shrunk,
    spread,
)
from gpu_handler.segment.classical.view import View

_INK = 5.0  # units of L that a stroke differs from what is within a few pixels of it
_STROKE = 8  # working pixels; less is grain
_OTHER = 11.0  # CIELAB units that print differs from the body's own colour there


class Marks(Struct, frozen=True, eq=False):
    """(h, w) bool masks in the body, none overlapping another; each may be empty."""

    label: Mask
    logo: Mask
    gloss: Mask
    parts: Mask


class Patch(Struct, frozen=True, eq=False):
    """A piece of a body that is unlike the rest of it. Shares are of the body's area."""

    mask: Mask
    share: float
    square: float
    slender: float
    strokes: int
    rim: float


def read_marks(view: View, body: Mask) -> Marks:
    nothing = np.zeros(view.shape, np.bool_)
    reach = max(1, round(0.012 * np.sqrt(body.sum())))
    inner = shrunk(body, reach)
    if inner.sum() < 200:
        return Marks(nothing, nothing, nothing, nothing)
    base = _base(view, inner)
    gloss = _gloss(view, inner, base)
    dark, pale = _ink(view)
    apart = view.lab - base
    unlike = np.sqrt((apart * apart * (0.5, 1.2, 1.2)).sum(axis=2))
    # A stroke's relief reaches beyond it, to where the body has its own colour.
    printed = (unlike > _OTHER) | ((unlike > 0.5 * _OTHER) & (dark | pale))
    patches = _patches(body, inner, printed, dark, pale)
    part = _union(patches, _is_part, nothing)
    label = _union(patches, _is_label, nothing) & ~part
    logo = _union(patches, _is_logo, nothing) & ~part & ~label
    return Marks(label, logo, gloss & ~label & ~logo & ~part, part)


def _union(patches: list[Patch], rule: Callable[[Patch], bool], nothing: Mask) -> Mask:
    return np.logical_or.reduce([nothing, *(p.mask for p in patches if rule(p))])


def _is_part(p: Patch) -> bool:
    """A cap or a lid: it makes up the product's own outline."""
    return 0.02 < p.share < 0.4 and p.rim > 0.05


def _is_label(p: Patch) -> bool:
    flat = p.share > 0.02 and p.square > 0.62 and p.slender < 9
    return flat and p.strokes >= 3 and p.rim < 0.05 and not _is_emblem(p)


def _is_emblem(p: Patch) -> bool:
    return p.share < 0.2 and p.slender < 1.35 and p.strokes < 8


def _is_logo(p: Patch) -> bool:
    return _is_emblem(p) and p.share > 0.002 and p.rim < 0.02 and p.square > 0.5


def _base(view: View, inner: Mask) -> Floats:
    """(h, w, 3): the body's own colour at each place, its shading kept, its marks left out."""
    even = np.array((0.5, 1, 1), np.float32)
    colors, share = palette(view.lab[inner] * even, 4)
    apart = view.lab * even - colors[share.argmax()]
    own = inner & (np.sqrt((apart * apart).sum(axis=2)) < 12)
    near, weight = local_mean(view.lab, own, 0.12 * float(np.sqrt(inner.sum())))
    known = np.clip(weight * 50, 0, 1)[..., None]
    return near * known + colors[share.argmax()] / even * (1 - known)


def _gloss(view: View, inner: Mask, base: Floats) -> Mask:
    """Near-white light on the body, clearly brighter than the body there."""
    light, chroma = view.lab[..., 0], np.hypot(view.lab[..., 1], view.lab[..., 2])
    own = np.hypot(base[..., 1], base[..., 2])
    bright = (light > 78) & (light > base[..., 0] + 10) & (chroma < np.maximum(10, 0.7 * own))
    return opened(bright & inner, 2)


def _ink(view: View) -> tuple[Mask, Mask]:
    """Strokes darker and strokes lighter than what is round them."""
    light = np.ascontiguousarray(view.sharp_lab[..., 0])
    relief = light - spread(light, 4)
    return relief < -_INK, relief > _INK


def _patches(body: Mask, inner: Mask, printed: Mask, dark: Mask, pale: Mask) -> list[Patch]:
    """The pieces of print, with lines of text taken together."""
    size = float(np.sqrt(body.sum()))
    rim = body & ~shrunk(inner, 2)
    gap = max(3, round(0.025 * size) | 1)
    found = [_measured(m, body, rim, dark, pale) for m in _solids(printed & inner, gap, size)]
    lines = [p for p in found if p.slender > 2.5 and p.share < 0.05 and p.rim < 0.05]
    if len(lines) < 2:
        return found
    text = np.logical_or.reduce([p.mask for p in lines])
    blocks = [_measured(m, body, rim, dark, pale) for m in _solids(text & inner, 3 * gap, size)]
    return [p for p in found if p not in lines] + blocks


def _solids(mask: Mask, gap: int, size: float) -> list[Mask]:
    """Its pieces, gaps of up to `gap` pixels bridged and holes filled."""
    shape = (mask.shape[0], mask.shape[1])
    drawn = outlines(closed(mask, gap))
    return [filled(shape, [o]) for o in drawn if cv2.contourArea(o) >= 0.002 * size * size]


def _measured(mask: Mask, body: Mask, rim: Mask, dark: Mask, pale: Mask) -> Patch:
    points = np.argwhere(mask)[:, ::-1].astype(np.float32)
    _, sides, _ = cv2.minAreaRect(points)
    long, short = max(sides) + 1, min(sides) + 1
    area = float(mask.sum())
    return Patch(
        mask,
        area / float(body.sum()),
        area / (long * short),
        long / short,
        max(_strokes(dark, mask), _strokes(pale, mask)),
        float((mask & rim).sum()) / area,
    )


def _strokes(ink: Mask, patch: Mask) -> int:
    """How many separate strokes lie within a patch, clear of its outline."""
    labels, area = pieces(ink & patch)
    at_rim = np.bincount(labels[patch & ~shrunk(patch, 2)], minlength=len(area))
    return int(((area >= _STROKE) & (at_rim == 0)).sum())
