"""Whatever comes, a brush that can be laid; the same every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.rules.texture.camera import Camera
from gpu_handler.rules.texture.outline import Outline
from gpu_handler.rules.texture.plan import Geometry, plan_texture
from gpu_handler.rules.texture.surfaces import Lie, lie_of, tiles_lie
from tests.gpu_handler.rules.texture.pictured import open_canvas, plan, rooms, tile

CONCEPTS = ("Floor", "Ceiling", "Countertop", "Wall", "Door", "Window", "Cabinet", "Tile", "Body")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(CONCEPTS),
    st.sampled_from([(1, 1), (1, 300), (300, 1), (5, 7), (60, 80)]),
    st.sampled_from(["constant", "noise", "lines"]),
    st.sampled_from(["empty", "point", "full", "row", "column", "noise", "faint"]),
    st.integers(0, 9),
)
def test_hostile_input(
    concept: str, shape: tuple[int, int], photo: str, mask: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    result = plan(_photo(photo, shape, random), _mask(mask, shape, random), concept)
    for plane in result.brush.planes:
        assert plane.texels.shape == (3, 3)
        assert np.isfinite(plane.texels).all()
        assert abs(np.linalg.det(plane.texels)) > 0
        assert np.isfinite(plane.limits).all()
    assert not result.brush.planes[-1].limits
    assert np.isfinite(result.brush.light).all()
    assert result.brush.light.min() > 0
    assert 0 <= result.report.support <= 1


@pytest.mark.parametrize("concept", ["Floor", "Wall", "Cabinet"])
def test_masks_that_make_no_sense_in_a_room(concept: str) -> None:
    """The camera is believed there, so all of the search runs."""
    photo = rooms()["study"].pixels
    random = np.random.default_rng(4)
    for kind in ("point", "full", "row", "column", "noise"):
        result = plan(photo, _mask(kind, photo.shape[:2], random), concept)
        assert all(np.isfinite(plane.texels).all() for plane in result.brush.planes)


def test_nothing_covered() -> None:
    photo = rooms()["study"].pixels
    result = plan(photo, np.zeros(photo.shape[:2], np.uint8), "Wall")
    assert result.report.geometry is Geometry.FACING
    assert len(result.brush.planes) == 1


@pytest.mark.parametrize("concept", ["Floor", "Wall"])
def test_same_photo_same_brush(concept: str) -> None:
    sample = rooms()["living room"]
    first, second = (plan(sample.pixels, sample.masks[concept], concept) for _ in range(2))
    assert first.report == second.report
    for one, other in zip(first.brush.planes, second.brush.planes, strict=True):
        assert np.array_equal(one.texels, other.texels)
        assert one.limits == other.limits
    assert np.array_equal(first.brush.light, second.brush.light)


@pytest.mark.parametrize("metres", [0.0, -1.0, float("nan"), float("inf")])
def test_tile_without_a_size(metres: float) -> None:
    canvas = open_canvas(np.zeros((8, 8, 3), np.uint8))
    cover = canvas.stretch(np.full((8, 8), 255, np.uint8))
    with pytest.raises(ValueError, match="width in metres"):
        plan_texture(canvas, cover, "Wall", tile(), metres)


def test_tile_without_levels() -> None:
    canvas = open_canvas(np.zeros((8, 8, 3), np.uint8))
    cover = canvas.stretch(np.full((8, 8), 255, np.uint8))
    with pytest.raises(ValueError, match="levels"):
        plan_texture(canvas, cover, "Wall", (), 1.0)


@pytest.mark.parametrize(
    ("concept", "lie"),
    [
        ("Floor", Lie.FLOOR),
        ("striped_rug", Lie.FLOOR),
        ("floor_lamp", Lie.BODY),
        ("table_lamp", Lie.BODY),
        ("Ceiling", Lie.CEILING),
        ("kitchen island", Lie.TABLE),
        ("Countertop", Lie.TABLE),
        ("tiled wall", Lie.WALL),
        ("Frame_Molding", Lie.WALL),
        ("Cabinet", Lie.BOX),
        ("Door", Lie.DOOR),
        ("Window", Lie.WINDOW),
        ("거실_바닥", Lie.FLOOR),
        ("Handle", Lie.BODY),
        ("Body", Lie.BODY),
        ("teapot", Lie.BODY),
    ],
)
def test_how_a_named_surface_lies(concept: str, lie: Lie) -> None:
    assert lie_of(concept) is lie


def test_where_tiles_are() -> None:
    camera = Camera((400, 600))
    assert lie_of("Tile") is lie_of("타일") is None
    for (y0, y1), lie in {
        (240, 400): Lie.FLOOR,
        (40, 380): Lie.WALL,
        (150, 240): Lie.SPLASHBACK,
        (0, 150): Lie.WALL,
    }.items():
        mask = np.zeros((400, 600), np.uint8)
        mask[y0:y1] = 255
        assert tiles_lie(Outline.of(mask, (400, 600)), camera) is lie


def _photo(kind: str, shape: tuple[int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    if kind == "constant":
        return np.full((*shape, 3), random.integers(0, 256), np.uint8)
    if kind == "noise":
        return random.integers(0, 256, (*shape, 3)).astype(np.uint8)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    lines = ((x * random.uniform(0.2, 1) + y * random.uniform(-1, 1)) // 9 % 2) * 200
    return np.repeat(lines[..., None], 3, 2).astype(np.uint8)


def _mask(kind: str, shape: tuple[int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    mask = np.zeros(shape, np.uint8)
    match kind:
        case "point":
            mask[shape[0] // 2, shape[1] // 2] = 255
        case "full":
            mask[:] = 255
        case "row":
            mask[shape[0] // 2] = 255
        case "column":
            mask[:, shape[1] // 2] = 255
        case "noise":
            mask[:] = random.integers(0, 256, shape)
        case "faint":
            mask[:] = 9
        case _:
            pass
    return mask
