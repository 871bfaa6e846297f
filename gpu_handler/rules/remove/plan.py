"""What fills the place of things that are taken out."""

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.backends.base import Canvas, Cover, FillBrush
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.inpainting.base import Inpainter
from gpu_handler.rules.remove.holes import Region, feathered, grown, things
from gpu_handler.rules.remove.hosts import UNKNOWN, Backdrop, backdrop, surfaces
from gpu_handler.rules.remove.membrane import blurred, spread
from gpu_handler.rules.remove.search import Match, Scene, own_places, search

_SMALL = 1008  # longest side at which holes are found
_WORK = 512  # longest side at which they are filled
_PAD = 1.0  # of a hole's size: how much of the surroundings is looked at
_LARGE = 0.10  # of the photo: more cannot be copied from around unnoticed
_LEAST = 0.5  # of a hole's area that there should be to copy from
_RADIUS = 3  # of a patch
_FEW = 64  # places to copy from: fewer are none
_VOTED, _GUESSED = 1.0, 3.0  # pixels of detail in a vote, and in what an inpainter paints
_LIGHT = 0.15  # of a hole's size: what varies more slowly is light, not pattern
_SEAM = 2.5  # pixels over which colours on both sides of the border are compared
_MOST = 48  # levels that a filling is moved by


class RemovalReport(Struct, frozen=True):
    """How one hole was filled.

    `hosts`: the surfaces that go on in it. `hole_share` of the photo's area. `basic_fill`: it may
    show, and `reason` says why.
    """

    hosts: tuple[str, ...]
    hole_share: float
    basic_fill: bool = False
    reason: str = ""


class Removal(Struct, frozen=True, eq=False):
    """One hole and its filling.

    `hole` (h, w) uint8, to be stretched over the photo: the thing with its edge and shadow, fading
    out outside; nothing else is changed.
    """

    hole: Alpha
    brush: FillBrush
    report: RemovalReport


class _Surroundings(Struct, frozen=True, eq=False):
    """All at the small size: what may be copied from, and the surfaces by name."""

    pixels: Pixels
    seen: dict[str, Region]
    usable: Region


def plan_removal(
    canvas: Canvas,
    removed: Cover,
    hosts: Mapping[str, Cover],
    avoid: Sequence[Cover],
    photo: Pixels,
    inpainter: Inpainter | None = None,
) -> tuple[Removal, ...]:
    """How everything that `removed` covers in `photo` (H, W, 3) is filled, a hole at a time.

    `hosts` are the surfaces that were found, by concept: a hole goes on as those beside it, copied
    from them alone. `avoid` is never copied from. Without any host everything else may be. A hole
    with nothing to copy from is left out.
    """
    small = canvas.small(_SMALL)
    gone = canvas.small_cover(removed, _SMALL)
    usable = gone < 8
    for cover in avoid:
        usable &= canvas.small_cover(cover, _SMALL) < 8
    known = {name: canvas.small_cover(cover, _SMALL) for name, cover in hosts.items()}
    surface = usable.copy()
    if known:
        surface &= np.maximum.reduce(list(known.values())) >= 128
    holes = [grown(thing, small, surface) for thing in things(gone)]
    for hole in holes:
        usable &= ~hole
    around = _Surroundings(small, surfaces(usable, known), usable)
    planned = (_planned(hole, around, photo, inpainter) for hole in holes)
    return tuple(removal for removal in planned if removal is not None)


def _planned(
    hole: Region, around: _Surroundings, photo: Pixels, inpainter: Inpainter | None
) -> Removal | None:
    alpha = feathered(hole)
    covered = alpha > 0
    behind = backdrop(covered, around.seen)
    box = _box(covered, photo.shape)
    scene = _scene(covered, around, behind, box, photo)
    if not scene.allowed.any():
        return None
    guess = None if inpainter is None else _guess(inpainter, scene)
    match = search(scene, guess)
    known = [name != UNKNOWN for name in behind.names] if guess is None else None
    brush = FillBrush(box, _offsets(match, box), _correction(scene, match, known))
    share = float(np.count_nonzero(hole)) / hole.size
    reason = "" if guess is not None else _doubt(scene, behind, share)
    hosts = tuple(name for name in behind.names if name != UNKNOWN)
    report = RemovalReport(hosts, round(share, 4), bool(reason), reason)
    return Removal(alpha, brush, report)


def _doubt(scene: Scene, behind: Backdrop, share: float) -> str:
    """Why a filling may show, as a phrase; empty where nothing speaks against it."""
    if share > _LARGE:
        return "the hole is a large part of the photo"
    if UNKNOWN in behind.names:
        return "not all around it is a surface that was found"
    if len(behind.names) > 1:
        return "several surfaces meet behind it"
    if np.count_nonzero(scene.allowed) < _LEAST * np.count_nonzero(scene.hole):
        return "there is little around to copy from"
    return ""


def _box(hole: Region, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) in pixels of the photo: the hole and what lies around it."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    pad = round(_PAD * max(np.ptp(rows), np.ptp(columns))) + 16
    fy, fx = shape[0] / hole.shape[0], shape[1] / hole.shape[1]
    x0, x1 = max(0, columns[0] - pad), min(hole.shape[1], columns[-1] + 1 + pad)
    y0, y1 = max(0, rows[0] - pad), min(hole.shape[0], rows[-1] + 1 + pad)
    return (
        math.floor(x0 * fx),
        math.floor(y0 * fy),
        min(shape[1], math.ceil(x1 * fx)),
        min(shape[0], math.ceil(y1 * fy)),
    )


def _scene(
    hole: Region,
    around: _Surroundings,
    behind: Backdrop,
    box: tuple[int, int, int, int],
    photo: Pixels,
) -> Scene:
    """The part of the photo in `box`, at the size it is filled at."""
    x0, y0, x1, y1 = box
    factor = min(1.0, _WORK / max(x1 - x0, y1 - y0))
    size = (max(1, round((x1 - x0) * factor)), max(1, round((y1 - y0) * factor)))
    pixels = cv2.resize(photo[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)

    def part(mask: NDArray[np.uint8], way: int) -> NDArray[np.uint8]:
        return _cut(mask, photo.shape, box, size, way)

    inside = part(hole.astype(np.uint8) * 255, cv2.INTER_LINEAR) > 0
    usable = (part(around.usable.astype(np.uint8) * 255, cv2.INTER_LINEAR) == 255) & ~inside
    whole = _eroded(usable)
    allowed, surface = np.zeros(inside.shape, np.uint8), np.zeros(inside.shape, np.uint8)
    for k, name in enumerate(behind.names):
        own = part(around.seen[name].astype(np.uint8) * 255, cv2.INTER_LINEAR) >= 240
        surface |= (own & usable).astype(np.uint8) << k
        places = whole & _eroded(own)
        if np.count_nonzero(places) < _FEW:
            places = whole & own if np.count_nonzero(whole & own) >= _FEW else whole
        allowed |= places.astype(np.uint8) << k
    label = part(behind.label, cv2.INTER_NEAREST)
    return Scene(np.asarray(pixels, np.uint8), inside.astype(np.uint8), label, allowed, surface)


def _cut(
    mask: NDArray[np.uint8],
    shape: tuple[int, ...],
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    way: int,
) -> NDArray[np.uint8]:
    """The part of a small mask that lies in `box` of the photo, at `size`."""
    x0, y0, x1, y1 = box
    fy, fx = mask.shape[0] / shape[0], mask.shape[1] / shape[1]
    sx, sy = (x1 - x0) / size[0] * fx, (y1 - y0) / size[1] * fy
    place = np.array([[sx, 0, x0 * fx + 0.5 * sx - 0.5], [0, sy, y0 * fy + 0.5 * sy - 0.5]])
    cut = cv2.warpAffine(
        mask, place, size, flags=way | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def _eroded(usable: Region) -> Region:
    """Where a whole patch is usable."""
    side = 2 * _RADIUS + 1
    square = np.ones((side, side), np.uint8)
    inner = cv2.erode(
        usable.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(inner) > 0


def _guess(inpainter: Inpainter, scene: Scene) -> Pixels:
    """What the learned inpainter makes of the hole, at the scene's size."""
    height, width = scene.hole.shape
    factor = min(1.0, inpainter.longest_side / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    pixels = np.asarray(cv2.resize(scene.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    hole = cv2.resize(scene.hole * 255, size, interpolation=cv2.INTER_LINEAR) > 0
    filled = inpainter.fill(pixels, np.asarray(hole, np.bool_))
    large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
    inside = scene.hole[..., None] > 0
    return np.where(inside, np.asarray(large, np.uint8), scene.pixels)


def _offsets(match: Match, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    height, width = match.source.shape[:2]
    scale = np.array(((box[2] - box[0]) / width, (box[3] - box[1]) / height), np.float32)
    moved = (match.source - own_places(match.source.shape))[..., ::-1]
    return np.asarray(moved * scale, np.float32)


def _correction(scene: Scene, match: Match, known: Sequence[bool] | None) -> NDArray[np.float32]:
    """Levels to add to what is copied: up to the vote on it, and on to the surface's own light.

    `known` tells of each label whether it is that of a surface; None where colours were painted by
    an inpainter and are right as they are.
    """
    colours = match.colours.astype(np.float32)
    rows, columns = match.source[..., 0], match.source[..., 1]
    copied = scene.pixels[rows, columns].astype(np.float32)
    inside = scene.hole > 0
    # Without its finest part: that is what the copy at full size is for.
    fine = _GUESSED if known is None else _VOTED
    missing = blurred(colours - copied, inside.astype(np.float32), fine)
    if known is not None:
        missing += _seamless(scene, copied + missing, known)
    # Outside nothing is copied; the same values go on there, so that stretching has no rim.
    return spread(missing, inside.astype(np.float32))


def _seamless(
    scene: Scene, filled: NDArray[np.float32], known: Sequence[bool]
) -> NDArray[np.float32]:
    """What makes each part of the filling go on from its own surface, and in its light.

    What is no surface may have any pattern: there slow changes are not taken for light.
    """
    inside = scene.hole > 0
    moved = np.zeros_like(filled)
    for k in np.unique(scene.label[inside]):
        part = inside & (scene.label == k)
        own = ((scene.surface >> k) & 1) > 0
        if own.any():
            light = np.zeros_like(filled)
            if known[k]:
                light = _relit(scene.pixels, filled, part, own)
            moved[part] = light[part] + _joined(scene.pixels, filled + light, part, own)[part]
    return np.clip(moved, -_MOST, _MOST)


def _relit(
    pixels: Pixels, filled: NDArray[np.float32], part: Region, own: Region
) -> NDArray[np.float32]:
    """The slow part of the filling exchanged for that of the surface, continued."""
    sigma = max(2.0, _LIGHT * math.sqrt(np.count_nonzero(part)))
    seen, outer = pixels.astype(np.float32), own.astype(np.float32)
    smooth = spread(blurred(seen, outer, _SEAM), outer)
    both = (own | part).astype(np.float32)
    wanted = blurred(np.where(part[..., None], smooth, seen), both, sigma)
    return wanted - blurred(np.where(part[..., None], filled, seen), both, sigma)


def _joined(
    pixels: Pixels, filled: NDArray[np.float32], part: Region, own: Region
) -> NDArray[np.float32]:
    """The jump of colour along the border between filling and surface, spread inwards."""
    near = cv2.GaussianBlur(own.astype(np.float32), (0, 0), _SEAM)
    ring = part & (np.asarray(near) > 0.15)
    outside = blurred(pixels.astype(np.float32), own.astype(np.float32), _SEAM)
    within = blurred(filled, part.astype(np.float32), _SEAM)
    return spread(outside - within, ring.astype(np.float32))
