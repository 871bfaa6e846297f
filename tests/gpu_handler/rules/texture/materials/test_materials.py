"""Every material with a texture: its colour, its seams, its levels, and that it stays the same."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.imaging.color import delta_e_2000, linear_to_cielab, srgb_to_linear
from gpu_handler.rules.texture.materials import make_tile
from gpu_handler.rules.texture.materials.bonds import herringbone, hexagons, running
from gpu_handler.rules.texture.materials.patterns import PATTERNS, SPECIAL
from shared.materials import MATERIALS, Material

Pixels = NDArray[np.uint8]

TEXTURED = [m.id for m in MATERIALS.values() if m.texture]
SMALL = 256


def drawn(name: str, side: int = SMALL) -> Pixels:
    return make_tile(MATERIALS[name], side).levels[0]


@pytest.mark.parametrize("name", TEXTURED)
def test_a_tile_has_the_colour_of_its_swatch_from_afar(name: str) -> None:
    material = MATERIALS[name]
    pixels = drawn(name)
    assert pixels.shape == (SMALL, SMALL, 3)
    assert pixels.dtype == np.uint8
    light = srgb_to_linear(pixels / 255).mean((0, 1))
    asked = srgb_to_linear(np.array(material.rgb) / 255)
    assert float(delta_e_2000(*linear_to_cielab(np.stack((asked, light))))) < 2


@pytest.mark.parametrize("name", TEXTURED)
def test_a_tile_has_a_pattern_and_does_not_shout(name: str) -> None:
    grey = drawn(name).mean(-1)
    contrast = grey.std() / max(grey.mean(), 30)
    assert 0.004 < contrast < 0.3
    assert (drawn(name) == 255).mean() < 0.02
    coarse = grey.reshape(8, SMALL // 8, 8, SMALL // 8).mean((1, 3))
    assert np.ptp(coarse) / max(grey.mean(), 30) < 0.6


@pytest.mark.parametrize("name", TEXTURED)
def test_a_tile_wraps_around(name: str) -> None:
    """What differs across its borders is like what differs inside."""
    pixels = drawn(name).astype(np.float64)
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels, axis=axis)).mean((1 - axis, 2))
        seam = np.abs(np.take(pixels, 0, axis) - np.take(pixels, -1, axis)).mean()
        assert seam <= 1.3 * steps.max() + 1


@pytest.mark.parametrize("name", ["oak_a", "brick_red", "linen"])
def test_levels_are_means_of_two_by_two(name: str) -> None:
    levels = make_tile(MATERIALS[name], SMALL).levels
    assert [level.shape[0] for level in levels] == [256, 128, 64, 32, 16, 8, 4, 2, 1]
    for fine, coarse in itertools.pairwise(levels):
        means = fine.reshape(coarse.shape[0], 2, coarse.shape[0], 2, 3).mean((1, 3))
        assert np.abs(means - coarse).max() <= 0.5


def test_the_same_material_is_the_same_tile_and_others_are_not() -> None:
    first, again = drawn("oak_a"), make_tile.__wrapped__(MATERIALS["oak_a"], SMALL).levels[0]
    assert np.array_equal(first, again)
    other = Material("oak_z", "Oak Z", "오크 Z", "wood", MATERIALS["oak_a"].hex, "planks")
    assert (make_tile(other, SMALL).levels[0] != first).mean() > 0.5


def test_walnut_is_more_varied_than_maple() -> None:
    """Without the joints, which are as dark in both."""
    greys = [drawn(name).astype(float).mean(-1) for name in ("walnut", "maple")]
    walnut, maple = (np.ptp(np.quantile(g, (0.3, 0.9))) / np.median(g) for g in greys)
    assert walnut > 1.5 * maple


def test_what_cannot_be_drawn_is_refused() -> None:
    for texture in (None, "scales"):
        with pytest.raises(ValueError, match="odd"):
            make_tile(Material("odd", "Odd", "이상", "paint", "#808080", texture), SMALL)


def test_every_pattern_is_used_and_every_exception_exists() -> None:
    assert {m.texture for m in MATERIALS.values() if m.texture} == set(PATTERNS)
    assert set(SPECIAL) <= set(TEXTURED)


def test_a_herringbone_is_made_of_whole_staves() -> None:
    bond = herringbone(128, 16)
    sizes = np.bincount(bond.piece.ravel())
    assert (sizes == 4 * 8 * 8).all()
    for piece in range(4):
        y, x = np.nonzero(bond.piece == piece)
        wide = len(np.unique(x)), len(np.unique(y))
        assert set(wide) == {8, 32}


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_rows_are_made_of_equal_pieces(shift: float) -> None:
    bond = running(128, 8, 4, shift)
    assert bond.count == 32
    assert (np.bincount(bond.piece.ravel()) == 16 * 32).all()
    assert bond.edge.min() > 0
    assert bond.edge.max() == pytest.approx(7.5)


def test_hexagons_close_around() -> None:
    bond = hexagons(256, 6)
    sizes = np.bincount(bond.piece.ravel(), minlength=bond.count)
    assert sizes.min() > 0.9 * sizes.max()
    seam = bond.piece[:, 0] == bond.piece[:, -1]
    assert 0.2 < seam.mean() < 0.8
