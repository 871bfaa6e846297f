"""Boards: grain along their length, rings, pores, and now and then the figure of a flat cut."""

import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.color import Array
from gpu_handler.rules.texture.materials.bonds import Bond, herringbone, jittered, rows
from gpu_handler.rules.texture.materials.noise import Chance, wrapped

_SHEETS = 3


class _Wood:
    """Sheets of grain along x, and how a board is cut from them."""

    def __init__(self, n: int, chance: Chance, contrast: float) -> None:
        self.n, self.chance, self.contrast = n, chance, contrast
        self.sheets = np.stack([self._sheet(k) for k in range(_SHEETS)])
        fine = chance.noise(n, n / 3, n / 180, 1.3)
        pores = np.maximum(chance.noise(n, n / 5, n / 60, 1.2) - 1.5, 0)
        self.fine = np.asarray(0.35 * fine - 1.1 * np.minimum(pores, 1.2), np.float32)

    def _sheet(self, number: int) -> Array:
        """Rings cut along: straight in the first sheet, ever more wandering."""
        n, chance = self.n, self.chance
        y = np.arange(n, dtype=np.float32)[:, None] + np.zeros((1, n), np.float32)
        x = np.arange(n, dtype=np.float32)[None] + np.zeros((n, 1), np.float32)
        wander = chance.noise(n, 3, 1.2, 2.5) * n * (0.008, 0.02, 0.035)[number]
        return wrapped(chance.noise(n, 24, 1.0, 2.0), y + wander, x)

    def grain(self, bond: Bond, width: float) -> Array:
        """(n, n) of about -2..2: each board a piece of its own of some sheet; `width` in texels."""
        n, count = self.n, bond.count
        sheet = self.chance.whole(count, _SHEETS)[bond.piece]
        down = self.chance.whole(count, n)[bond.piece]
        right = self.chance.whole(count, n)[bond.piece]
        v = (bond.across.astype(np.int64) + down) % n
        u = (bond.along.astype(np.int64) + right) % n
        straight = self.sheets[sheet, v, u]
        flat = self._flat(bond, width, u, v)
        cut = (self.chance.whole(count, 4) == 0)[bond.piece]
        return np.where(cut, flat, straight) * np.float32(self.contrast) + self.fine[v, u]

    def _flat(self, bond: Bond, width: float, u: NDArray[np.int64], v: NDArray[np.int64]) -> Array:
        """The nested arches of a board cut beside the heart of the trunk."""
        centre = 0.5 + self.chance.each(bond.count, 0.12)[bond.piece]
        off = bond.across / np.float32(width) - centre
        arch = np.abs(off) * 5 + 1.6 * self.sheets[2, v // 8, u] + 0.15 * self.sheets[1, v, u]
        rings = np.abs((arch * 1.1) % 1 - 0.5) * 4 - 1
        return np.asarray(rings * (0.9 - np.minimum(np.abs(off), 0.5)), np.float32)


def _boards(
    wood: _Wood, bond: Bond, width: float, rgb: tuple[int, int, int], spread: float
) -> Array:
    """(n, n, 3): boards of one wood, each a little lighter or darker, redder or paler."""
    base = np.array(rgb, np.float32)
    level = wood.grain(bond, width)[..., None]
    early, late = base * np.array((1.1, 1.1, 1.12)), base * np.array((0.76, 0.72, 0.68))
    share = np.clip(0.36 - 0.17 * level, 0, 1)
    colour = early * (1 - share) + late * share
    chance = wood.chance
    tone = jittered(chance, bond, spread)
    hue = np.stack(
        (
            tone * jittered(chance, bond, 0.12 * spread),
            tone,
            tone * jittered(chance, bond, 0.3 * spread),
        ),
        -1,
    )
    joint = 0.0022 * wood.n
    gaps = 0.42 + 0.58 * bond.on_piece(joint)
    bevel = bond.bevel(joint, 0.0012 * wood.n, 0.1)
    return np.asarray(colour * hue * (gaps * bevel)[..., None], np.float32)


def planks(
    n: int,
    chance: Chance,
    rgb: tuple[int, int, int],
    *,
    contrast: float = 1.0,
    spread: float = 0.045,
) -> Array:
    """Ten rows of boards, one or two to a row."""
    starts: list[list[float]] = []
    for _ in range(10):
        first = float(chance.random.random())
        second = first + 0.5 + float(chance.random.uniform(-0.15, 0.15))
        starts.append([first] if chance.random.random() < 0.4 else [first, second])
    bond = rows(n, 10, starts)
    return _boards(_Wood(n, chance, contrast), bond, n / 10, rgb, spread)


def staves(
    n: int,
    chance: Chance,
    rgb: tuple[int, int, int],
    *,
    contrast: float = 1.0,
    spread: float = 0.06,
) -> Array:
    """Herringbone: half of the staves reflect the light a little less."""
    bond = herringbone(n, 16)
    drawn = _boards(_Wood(n, chance, contrast), bond, n / 16, rgb, spread)
    turned = np.minimum(bond.piece % 2, 1)[..., None]
    return np.asarray(drawn * (1 - 0.07 * turned), np.float32)
