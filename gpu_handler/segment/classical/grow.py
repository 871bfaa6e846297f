"""A surface from a few sure regions: neighbours that fit are added until none does."""

from collections.abc import Callable

import numpy as np

from gpu_handler.segment.classical.scene import Region, Scene

_TOUCH = 4  # pixels of common border
_LIT = 1.6  # the most that a shadow is thought to have dimmed


def grow(
    scene: Scene, start: set[int], fits: Callable[[Region, Region], bool], steep: float
) -> set[int]:
    """`start` and what can be reached from it across borders no steeper than `steep`.

    `fits(region, neighbour)` says whether `region` may join `neighbour`, which has joined.
    """
    found, front = set(start), sorted(start)
    while front:
        near = scene.regions[front.pop(0)]
        for touch in scene.touching[near.index]:
            if touch.index in found or touch.edge > steep or touch.length < _TOUCH:
                continue
            if fits(scene.regions[touch.index], near):
                found.add(touch.index)
                front.append(touch.index)
    return found


def hue_shift(a: Region, b: Region) -> float:
    """Difference in a and b of CIELAB once both are in the lighter one's light.

    Less light takes chroma away as it takes lightness; some more is forgiven there, since
    shadows are lit by what is round them.
    """
    dark, light = sorted((a.color, b.color))
    gain = min(_LIT, light[0] / max(dark[0], 1.0))
    apart = float(np.hypot(light[1] - gain * dark[1], light[2] - gain * dark[2]))
    return apart / (1 + 0.02 * (light[0] - dark[0]))


def lightness_shift(a: Region, b: Region) -> float:
    return abs(a.color[0] - b.color[0])
