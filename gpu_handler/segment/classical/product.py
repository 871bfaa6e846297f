"""The product itself: what stands out from the backdrop, near the middle, in one piece."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.segment.classical.backdrop import busy_border, strangeness
from gpu_handler.segment.classical.shapes import (
    Floats,
    Mask,
    closed,
    filled,
    grown,
    opened,
    otsu,
    outlines,
    pieces,
    shrunk,
    spread,
)
from gpu_handler.segment.classical.view import View

_CUT = 288  # longest side that the cut is made at
_ROUNDS = 3
_SEED = 7
_LEAST = 0.002  # of the picture: smaller pieces are specks
_BACKDROP = 5.0  # CIELAB units from the backdrop within which a place shows it
_SAME = 18.0  # CIELAB units over all channels: two pieces of one product
_EYE = 0.03  # of the product's area
_PRINT = 0.03  # of a label's area that its letters cover at least
_OTHERS = 0.45  # of the product's area that other things may cover; more is not a product shot


def find_body(view: View) -> Mask:
    """(h, w) bool, empty where nothing stands out from a plain backdrop."""
    if busy_border(view):
        return np.zeros(view.shape, np.bool_)
    strange = strangeness(view)
    unlike = strange > np.clip(otsu(strange), 6, 18)
    start = _central(_solid(unlike), view)
    if not start.any():
        return start
    cut = _solid(_cut(view, strange, start))
    body = cut & ~_see_through(cut, strange)
    return body & ((unlike & ~body).sum() < _OTHERS * body.sum())


def _see_through(body: Mask, strange: Floats) -> Mask:
    """Places in the body that show the backdrop: the eye of a handle.

    A label may have the backdrop's colour too, but letters on it; and what reaches the outline is
    a badly cut edge or a shadow, not for this rule to judge.
    """
    shape = (body.shape[0], body.shape[1])
    shown = opened(body & (strange < _BACKDROP), 3)
    sure = shrunk(body, 3)
    found = np.zeros(shape, np.bool_)
    for outline in outlines(shown):
        whole = filled(shape, [outline])
        if whole.sum() < _EYE * body.sum() or (whole & ~sure).sum() > 0.05 * whole.sum():
            continue
        if (whole & ~shown).sum() < _PRINT * whole.sum():
            found |= whole
    return found


def _central(mask: Mask, view: View) -> Mask:
    """The pieces that are large and lie near the middle, and others of the same colour."""
    labels, area = pieces(mask)
    h, w = mask.shape
    y, x = np.indices((h, w)).reshape(2, -1)
    far = ((x + 0.5) / w - 0.5) ** 2 + ((y + 0.5) / h - 0.5) ** 2
    off = np.bincount(labels.ravel(), weights=far, minlength=len(area)) / np.maximum(area, 1)
    weight = area / (h * w) * np.exp(-6 * off)
    keep = (weight > 0.15 * weight.max()) & (weight > 2 * _LEAST)
    keep[0] = False
    if not keep.any():
        return keep[labels]
    total = [np.bincount(labels.ravel(), weights=view.lab[..., c].ravel()) for c in range(3)]
    color = np.stack(total, axis=1) / np.maximum(area, 1)[:, None]
    apart = np.abs(color - color[weight.argmax()]).sum(axis=1)
    keep |= (apart < _SAME) & (area > _LEAST * mask.size)
    keep[0] = False
    return keep[labels]


def _cut(view: View, strange: Floats, start: Mask) -> Mask:
    """GrabCut (Rother, Kolmogorov and Blake, 2004) from a trimap round `start`."""
    h, w = view.shape
    scale = min(1.0, _CUT / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    image = np.asarray(cv2.resize(view.smooth, size, interpolation=cv2.INTER_AREA), np.uint8)
    marks = _trimap(start, strange, size)
    if not (marks == cv2.GC_BGD).any():
        return start
    cv2.setRNGSeed(_SEED)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, marks, (0, 0, 0, 0), *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = ((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)).astype(np.float32)
    soft = cv2.resize(spread(found, 0.8), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft) > 0.5


def _trimap(start: Mask, strange: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """GrabCut's marks at `size` (width, height): sure only away from the edge of `start`."""
    small = cv2.resize(start.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    inside = np.asarray(small) > 0
    far = np.asarray(cv2.resize(strange, size, interpolation=cv2.INTER_AREA))
    reach = max(1, round(0.01 * max(size)))
    marks = np.where(inside, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    marks[shrunk(inside, reach) & (far > 4)] = cv2.GC_FGD
    marks[~grown(inside, reach)] = cv2.GC_BGD
    return marks


def _solid(mask: Mask) -> Mask:
    """Without specks and without holes, which in a product are labels and reflections."""
    whole = closed(opened(mask, 3), 7)
    large = [o for o in outlines(whole) if cv2.contourArea(o) > _LEAST * mask.size]
    return filled((mask.shape[0], mask.shape[1]), large)
