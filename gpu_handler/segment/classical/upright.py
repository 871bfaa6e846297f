"""The walls: plain, large and tall, ending at the ceiling or at the photo's border."""

from gpu_handler.segment.classical.grow import grow, hue_shift, lightness_shift
from gpu_handler.segment.classical.scene import Region, Scene


def find_walls(scene: Scene, ceiling: set[int]) -> set[int]:
    """Indices of the regions of all walls of the same paint; empty where none is sure."""

    def meets_ceiling(r: Region) -> bool:
        touching = scene.touching[r.index]
        return r.sides[0] > 0.02 or any(t.index in ceiling and t.length > 12 for t in touching)

    def anchored(r: Region) -> bool:
        """Whether it ends where a wall ends and a thing on the wall or before it does not."""
        return meets_ceiling(r) or r.sides[1] > 0.1 or r.sides[3] > 0.1

    def likely(r: Region) -> float:
        if r.index in ceiling or r.box[1] > 0.45 or r.texture > 3.5 or r.girth < 0.015:
            return 0.0
        return r.area * (1 - abs(r.center[1] - 0.4)) if _upright(r) else 0.0

    best = max(scene.regions, key=lambda r: likely(r) * (1.0 if anchored(r) else 0.4))
    if likely(best) < 0.012:
        return set()
    others = {
        r.index
        for r in scene.regions
        if likely(r) > 0.006 and anchored(r) and _same_paint(r, best, 13 if meets_ceiling(r) else 6)
    }
    return grow(
        scene,
        {best.index} | others,
        lambda r, near: (
            r.index not in ceiling
            and _upright(r)
            and hue_shift(r, near) < 6
            and lightness_shift(r, near) < 20
        ),
        steep=2.2,
    )


def _upright(r: Region) -> bool:
    lies = r.box[1] > 0.35 and r.center[1] > 0.6
    return not lies and r.box[1] < 0.6 and r.texture < 4.5 and r.chroma < 55 and r.color[0] > 8


def _same_paint(r: Region, first: Region, shift: float) -> bool:
    """A wall round the corner: lit otherwise, but of the same paint."""
    return r.box[1] < 0.4 and hue_shift(r, first) < shift and lightness_shift(r, first) < 35
