"""PatchMatch: for every pixel of a hole the place whose surroundings fit best, and the vote on it.

C. Barnes, E. Shechtman, A. Finkelstein, D. Goldman, "PatchMatch", 2009; the vote as in Y. Wexler,
E. Shechtman, M. Irani, "Space-Time Completion of Video", 2007. Deterministic: chance comes from a
xorshift generator of its own (G. Marsaglia, 2003).

`image` (h, w, 3) uint8; `hole` (h, w) uint8, not 0 where pixels are looked for; `allowed` (h, w)
uint8, bit k set where a pixel of label k may come from, and `label` (h, w) uint8 in 0..7. `field`
(h, w, 2) int32 holds rows and columns, always allowed ones; `cost` (h, w) float32 the mean squared
difference of the patches there.
"""

import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.compiled import compiled
from gpu_handler.imaging.pixels import Floats, Pixels

Marks = NDArray[np.uint8]
Field = NDArray[np.int32]

RADIUS = 3
"""Of a patch: 7 x 7 pixels."""


@compiled
def chance(state: NDArray[np.uint64], below: int) -> int:
    """A number in 0..below-1; `state` (1,) is never 0."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return np.int64((x >> np.uint64(11)) % np.uint64(below))


@compiled
def difference(
    image: Pixels, trust: Floats, weight: float, y: int, x: int, v: int, u: int, best: float
) -> float:
    """Mean squared difference of two patches, each pixel weighted by its trust, `weight` in all.

    Something above `best` as soon as that is certain. The patch at (v, u) lies in the picture.
    """
    limit, total = best * weight, np.float32(0)
    low, high = max(-RADIUS, -x), min(RADIUS, image.shape[1] - 1 - x)
    for dy in range(max(-RADIUS, -y), min(RADIUS, image.shape[0] - 1 - y) + 1):
        for dx in range(low, high + 1):
            share = trust[y + dy, x + dx]
            if share > 0:
                red = np.int32(image[y + dy, x + dx, 0]) - np.int32(image[v + dy, u + dx, 0])
                green = np.int32(image[y + dy, x + dx, 1]) - np.int32(image[v + dy, u + dx, 1])
                blue = np.int32(image[y + dy, x + dx, 2]) - np.int32(image[v + dy, u + dx, 2])
                total += share * np.float32(red * red + green * green + blue * blue)
        if total > limit:
            break
    return total / weight


@compiled
def is_allowed(allowed: Marks, v: int, u: int, label: int) -> bool:
    inside = 0 <= v < allowed.shape[0] and 0 <= u < allowed.shape[1]
    return inside and (allowed[v, u] >> label) & 1 == 1


@compiled
def closer(
    image: Pixels,
    trust: Floats,
    weight: float,
    label: int,
    allowed: Marks,
    y: int,
    x: int,
    place: NDArray[np.int64],
    best: float,
    farthest: int,
    state: NDArray[np.uint64],
) -> float:
    """Try places at random, ever closer to the best one, `place` (2,), which may move."""
    reach = farthest
    while reach >= 1:
        v = place[0] + chance(state, 2 * reach + 1) - reach
        u = place[1] + chance(state, 2 * reach + 1) - reach
        if is_allowed(allowed, v, u, label):
            d = difference(image, trust, weight, y, x, v, u, best)
            if d < best:
                best, place[0], place[1] = d, v, u
        reach //= 2
    return best


@compiled
def improve(
    image: Pixels,
    trust: Floats,
    weights: Floats,
    hole: Marks,
    label: Marks,
    allowed: Marks,
    field: Field,
    cost: Floats,
    rounds: int,
    state: NDArray[np.uint64],
) -> None:
    """Propagate good matches to neighbours, and try places at random.

    `weights` (h, w): the sum of the trust over the patch around each pixel, above 0.
    """
    height, width = hole.shape
    place = np.empty(2, np.int64)
    for turn in range(rounds + 1):
        back = turn % 2 == 0
        step = 1 if back else -1
        for i in range(height * width):
            k = height * width - 1 - i if back else i
            y, x = k // width, k % width
            if not hole[y, x]:
                continue
            weight, own = weights[y, x], label[y, x]
            place[0], place[1] = field[y, x, 0], field[y, x, 1]
            if turn == 0:  # what the picture has become since
                cost[y, x] = difference(
                    image, trust, weight, y, x, place[0], place[1], np.float32(1e9)
                )
                continue
            best = cost[y, x]
            for side in range(2):
                ny, nx = (y + step, x) if side == 0 else (y, x + step)
                if 0 <= ny < height and 0 <= nx < width and hole[ny, nx]:
                    v, u = field[ny, nx, 0] + y - ny, field[ny, nx, 1] + x - nx
                    if is_allowed(allowed, v, u, own):
                        d = difference(image, trust, weight, y, x, v, u, best)
                        if d < best:
                            best, place[0], place[1] = d, v, u
            best = closer(
                image, trust, weight, own, allowed, y, x, place, best, max(height, width), state
            )
            field[y, x, 0], field[y, x, 1], cost[y, x] = place[0], place[1], best


@compiled
def vote(
    image: Pixels, trust: Floats, hole: Marks, field: Field, cost: Floats, out: Pixels
) -> None:
    """Each pixel of the hole becomes the mean of what the patches over it say, good ones first.

    `trust` weighs each patch by the pixel it is around.
    """
    height, width = hole.shape
    sums = np.empty(4, np.float64)
    for y in range(height):
        for x in range(width):
            if not hole[y, x]:
                continue
            sums[:] = 0
            for yy in range(max(0, y - RADIUS), min(height, y + RADIUS + 1)):
                for xx in range(max(0, x - RADIUS), min(width, x + RADIUS + 1)):
                    if hole[yy, xx]:
                        v, u = field[yy, xx, 0] + y - yy, field[yy, xx, 1] + x - xx
                        weight = np.exp(-cost[yy, xx] / 50.0) * trust[yy, xx] + 1e-9
                        for c in range(3):
                            sums[c] += weight * image[v, u, c]
                        sums[3] += weight
            for c in range(3):
                out[y, x, c] = np.uint8(sums[c] / sums[3] + 0.5)


@compiled
def scatter(
    hole: Marks, label: Marks, allowed: Marks, field: Field, state: NDArray[np.uint64]
) -> None:
    """A random allowed place for each pixel of the hole that has none yet, by its label."""
    height, width = hole.shape
    places = np.empty(height * width, np.int64)
    for k in range(8):
        count = 0
        for i in range(height * width):
            if (allowed[i // width, i % width] >> k) & 1:
                places[count] = i
                count += 1
        if count == 0:
            continue
        for i in range(height * width):
            y, x = i // width, i % width
            mine = hole[y, x] and label[y, x] == k
            if mine and not is_allowed(allowed, field[y, x, 0], field[y, x, 1], k):
                place = places[chance(state, count)]
                field[y, x, 0], field[y, x, 1] = place // width, place % width
