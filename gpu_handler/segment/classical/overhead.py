"""The ceiling: plain and light, from the top border down to where the walls begin."""

from gpu_handler.segment.classical.grow import grow, hue_shift, lightness_shift
from gpu_handler.segment.classical.scene import Region, Scene

_LEAST = 0.02
_RIM = 0.014  # radius in parts of the photo's longer side


def find_ceiling(scene: Scene) -> set[int]:
    """Indices of its regions; empty where none is in the photo."""
    best = max(scene.regions, key=_likely)
    if _likely(best) < _LEAST:
        return set()
    low = best.box[3] + 0.03
    sure = {r.index for r in scene.regions if _another(r, best) and r.box[3] < low}
    found = grow(
        scene,
        {best.index} | sure,
        lambda r, near: (
            _overhead(r)
            and r.box[3] < low
            and hue_shift(r, near) < 6
            and lightness_shift(r, near) < (12 if r.girth > 0.012 else 20)
        ),
        steep=2.0,
    )
    return found | _shaded_rim(scene, found, low + 0.02)


def _shaded_rim(scene: Scene, ceiling: set[int], low: float) -> set[int]:
    """Thin strips along the ceiling in its own hue: its shaded rim, which a crease cuts off."""
    found: set[int] = set()
    for r in scene.regions:
        touching = scene.touching[r.index]
        along = sum(t.length for t in touching if t.index in ceiling)
        if r.girth > _RIM or r.box[3] > low or along < 0.3 * sum(t.length for t in touching):
            continue
        lightest = max(touching, key=lambda t: t.length * (t.index in ceiling)).index
        near = scene.regions[lightest]
        if hue_shift(r, near) < 5 and -3 < near.color[0] - r.color[0] < 30:
            found.add(r.index)
    return found


def _overhead(r: Region) -> bool:
    return (
        r.box[3] < 0.55
        and r.center[1] < 0.33
        and (r.texture < 3 or r.girth < 0.012)
        and r.color[0] > 45
    )


def _likely(r: Region) -> float:
    plain = _overhead(r) and r.chroma < 25 and r.sides[0] > 0.1
    return r.area * (0.5 + r.sides[0]) if plain else 0.0


def _another(r: Region, first: Region) -> bool:
    """A part of the ceiling in other light, beyond a beam, a lamp or the edge of a shadow."""
    at_top = _overhead(r) and r.sides[0] > 0.05 and r.area > 0.008
    return at_top and hue_shift(r, first) < 7.5 and lightness_shift(r, first) < 22
