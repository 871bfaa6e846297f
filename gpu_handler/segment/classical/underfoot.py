"""The floor: what meets the foot of the walls and the lower borders; a rug on it does neither."""

import cv2
import numpy as np

from gpu_handler.segment.classical.grow import grow, hue_shift, lightness_shift
from gpu_handler.segment.classical.scene import Region, Scene
from gpu_handler.segment.classical.shapes import Floats, Mask, opened, pieces

_PILE = 5.0  # texture from which a floor counts as rough all over, in units of L
_FOOT = 0.07  # of the photo's height: how far below a wall a floor begins, past its skirting
_LEAST = 0.006
_RISE = 0.05  # of the photo's height


def find_floor(fine: Scene, coarse: Scene, wall: Mask) -> Mask:
    """(h, w) bool. A rough floor is read from the `coarse` regions, others from the `fine`."""
    rough = coarse.mask(_floor(coarse, wall))
    if rough.any() and float(np.median(coarse.view.texture[rough])) > _PILE:
        bare = rough & ~_smooth_things(fine, rough)
        # In a tiny photo a smooth floor is all edge, which looks rough: nothing is left then.
        if bare.any():
            return _pile(fine, bare)
    return fine.mask(_floor(fine, wall))


def _floor(scene: Scene, wall: Mask) -> set[int]:
    foot = _foot(scene, wall)

    def likely(r: Region) -> float:
        meets = foot[r.index] + 0.1 * (r.sides[1] + r.sides[2] + r.sides[3])
        able = _below(r) and r.chroma < 60 and r.color[0] > 14
        return float(np.sqrt(r.area) * meets) if able else 0.0

    best = max(scene.regions, key=lambda r: likely(r) * (r.sides[2] > 0.01))
    if likely(best) < _LEAST or best.area < 0.01:
        return set()
    # What begins higher up than the floor does stands on it.
    top = best.box[1] - _RISE
    others = {r.index for r in scene.regions if r.box[1] > top and _part(r, best)}

    def joins(r: Region, near: Region) -> bool:
        piece = r.area < 0.01 or _same(r, near)
        return piece and r.box[1] > top and _below(r) and _alike(r, near, 14)

    return grow(scene, {best.index} | others, joins, steep=2 + 0.4 * best.texture)


def _below(r: Region) -> bool:
    return r.box[1] > 0.35 and r.center[1] > 0.6


def _part(r: Region, first: Region) -> bool:
    """A part of the same floor that furniture cuts off, at the border in other light perhaps."""
    at_border = r.sides[1] + r.sides[2] + r.sides[3] > 0.02
    light, hue = (25, 5) if at_border else (14, 3)
    return _below(r) and r.area > 0.003 and _alike(r, first, light) and hue_shift(r, first) < hue


def _same(r: Region, other: Region) -> bool:
    return hue_shift(r, other) < 3 and lightness_shift(r, other) < 7


def _alike(r: Region, other: Region, light: float) -> bool:
    rough = max(r.texture, other.texture)
    return (
        hue_shift(r, other) < 8
        and lightness_shift(r, other) < light + other.texture
        and abs(r.texture - other.texture) < 2 + 0.35 * rough
    )


def _foot(scene: Scene, wall: Mask) -> Floats:
    """How much of the strip below the walls lies in each region, 1 for the photo's whole width."""
    h, w = wall.shape
    reach = max(1, round(_FOOT * h))
    column = np.zeros((2 * reach + 1, 1), np.uint8)
    column[reach:] = 1
    strip = (np.asarray(cv2.dilate(wall.astype(np.uint8), column[::-1])) > 0) & ~wall
    strip[: h // 3] = False
    count = np.bincount(scene.labels.ravel(), weights=strip.ravel(), minlength=len(scene.regions))
    return (count / (reach * w)).astype(np.float32)


def _smooth_things(scene: Scene, floor: Mask) -> Mask:
    """What lies on a rough floor in its own colour but is smooth."""
    rough = float(np.median(scene.view.texture[floor]))
    return scene.mask(
        {
            i
            for i in _inside(scene, floor)
            if scene.regions[i].area > 0.004 and scene.regions[i].texture < 0.4 * rough
        }
    )


def _pile(scene: Scene, floor: Mask) -> Mask:
    """The rough parts of a floor that has any pixel."""
    around = np.asarray(cv2.blur(scene.view.texture, (11, 11)))
    return _main_parts(floor & (around > 0.6 * float(np.median(scene.view.texture[floor]))))


def _inside(scene: Scene, mask: Mask) -> set[int]:
    """The regions that mostly lie in a mask."""
    n = len(scene.regions)
    share = np.bincount(scene.labels.ravel(), weights=mask.ravel(), minlength=n)
    area = np.bincount(scene.labels.ravel(), minlength=n)
    return set(np.flatnonzero(share > 0.5 * area).tolist())


def _main_parts(mask: Mask) -> Mask:
    """The pieces at least a tenth as large as the largest, cut where they hang by a thread."""
    labels, area = pieces(opened(mask, 5))
    return (area >= max(1.0, 0.1 * area.max()))[labels] & (labels > 0)
