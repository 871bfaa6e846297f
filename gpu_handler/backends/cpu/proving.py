"""What became of protected pixels."""

import numpy as np

from gpu_handler.backends.base import Proof
from gpu_handler.imaging.compiled import compiled
from gpu_handler.imaging.pixels import Alpha, Pixels


def compare(before: Pixels, after: Pixels, shield: Alpha) -> Proof:
    total, changed, most = _compare(before, after, shield)
    return Proof(int(total), int(changed), int(most))


@compiled
def _compare(before: Pixels, after: Pixels, shield: Alpha) -> tuple[int, int, int]:
    total, changed, most = 0, 0, 0
    for y in range(shield.shape[0]):
        for x in range(shield.shape[1]):
            if shield[y, x] < 128:
                continue
            total += 1
            largest = 0
            for c in range(3):
                largest = max(largest, abs(np.int32(after[y, x, c]) - np.int32(before[y, x, c])))
            if largest:
                changed += 1
                most = max(most, largest)
    return total, changed, most
