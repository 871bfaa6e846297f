"""Things taken out of surfaces made here, whose truth is known."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.rules.remove.plan import Removal, plan_removal

Pixels = NDArray[np.uint8]
Alpha = NDArray[np.uint8]

HEIGHT, WIDTH = 360, 480


def wall(seed: int = 1) -> Pixels:
    """Cream, lit from the left, with grain."""
    light = np.linspace(1.0, 0.72, WIDTH)[None, :, None] * np.array([232, 216, 190])
    grain = np.random.default_rng(seed).normal(0, 3, (HEIGHT, WIDTH, 3))
    return (np.broadcast_to(light, (HEIGHT, WIDTH, 3)) + grain).clip(0, 255).astype(np.uint8)


def planks() -> Pixels:
    """Boards of 24 pixels in four tones with dark joints."""
    tones = np.random.default_rng(2).normal(1, 0.06, HEIGHT // 24 + 1).repeat(24)[:HEIGHT]
    board = np.ones((HEIGHT, WIDTH, 3)) * np.array([176, 132, 92]) * tones[:, None, None]
    board[::24] *= 0.6
    grain = np.random.default_rng(3).normal(0, 4, (HEIGHT, 1, 3)) + np.zeros((1, WIDTH, 1))
    return (board + grain).clip(0, 255).astype(np.uint8)


def spot(x0: int, y0: int, x1: int, y1: int) -> Alpha:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y0:y1, x0:x1] = 255
    return mask


def with_thing(surface: Pixels, mask: Alpha, colour: tuple[int, int, int] = (30, 90, 40)) -> Pixels:
    photo = surface.copy()
    photo[mask > 0] = colour
    return photo


def taken_out(
    photo: Pixels, mask: Alpha, hosts: Mapping[str, Alpha], others: Sequence[Alpha] = ()
) -> tuple[Pixels, tuple[Removal, ...]]:
    canvas = CpuBackend().open(photo)
    known = {name: canvas.stretch(host) for name, host in hosts.items()}
    avoid = [canvas.stretch(other) for other in others]
    removals = plan_removal(canvas, canvas.stretch(mask), known, avoid, photo)
    for removal in removals:
        canvas.paint(canvas.stretch(removal.hole), removal.brush)
    return canvas.picture(), removals


def sources(removal: Removal) -> NDArray[np.int64]:
    """(n, 2) columns and rows that the pixels of the hole come from."""
    x0, y0, x1, y1 = removal.brush.box
    y, x = np.nonzero(removal.hole)
    h, w = removal.brush.source.shape[:2]
    moved = removal.brush.source[(y - y0) * h // (y1 - y0), (x - x0) * w // (x1 - x0)]
    return np.rint(np.stack((x, y), -1) + moved).astype(np.int64)


def test_a_wall_goes_on_with_its_light_and_its_grain() -> None:
    truth, mask = wall(), spot(180, 120, 270, 220)
    after, (removal,) = taken_out(with_thing(truth, mask), mask, {"Wall": 255 - mask})
    inside = mask > 0
    assert np.abs(after.astype(int) - truth)[inside].mean() < 6
    for part in (slice(180, 210), slice(240, 270)):
        rows = slice(120, 220)
        difference = after[rows, part].mean((0, 1)) - truth[rows, part].mean((0, 1))
        assert np.abs(difference).max() < 4
    grain = [
        np.std(picture[120:220, 180:270] - cv2.blur(picture, (9, 9))[120:220, 180:270])
        for picture in (after.astype(np.float32), truth.astype(np.float32))
    ]
    assert 0.7 < grain[0] / grain[1] < 1.3
    assert removal.report.hosts == ("Wall",)
    assert not removal.report.basic_fill


def test_planks_go_on() -> None:
    truth, mask = planks(), spot(180, 100, 280, 210)
    after, _ = taken_out(with_thing(truth, mask), mask, {"Floor": 255 - mask})
    joints = [y for y in range(110, 205) if truth[y, 200, 0] < 0.75 * truth[y - 2, 200, 0]]
    assert joints
    seen = [y for y in joints if after[y, 190:270].mean() < after[y - 4 : y - 1, 190:270].mean()]
    assert len(seen) == len(joints)
    assert np.abs(after.astype(int) - truth)[mask > 0].mean() < 12


def test_nothing_is_copied_from_other_things_or_other_surfaces() -> None:
    truth = wall()
    mask, picture = spot(180, 120, 250, 200), spot(270, 100, 330, 220)
    floor = spot(0, 260, WIDTH, HEIGHT)
    photo = with_thing(
        with_thing(with_thing(truth, mask), picture, (200, 20, 20)), floor, (9, 9, 9)
    )
    host = 255 - (mask | picture | floor)
    _, (removal,) = taken_out(photo, mask, {"Wall": host}, [picture])
    places = sources(removal)
    assert (host[places[:, 1], places[:, 0]] == 255).all()


def test_nothing_outside_the_hole_changes() -> None:
    truth, mask = wall(), spot(180, 120, 270, 220)
    photo = with_thing(truth, mask)
    after, (removal,) = taken_out(photo, mask, {"Wall": 255 - mask})
    assert (removal.hole[mask > 0] == 255).all()
    assert np.array_equal(after[removal.hole == 0], photo[removal.hole == 0])
    assert (removal.hole > 0).sum() < 1.5 * (mask > 0).sum()


def test_the_shadow_goes_with_the_thing() -> None:
    truth, mask = wall(), spot(180, 120, 270, 200)
    photo = truth.astype(np.float32)
    soft = cv2.GaussianBlur(spot(184, 196, 274, 214).astype(np.float32) / 255, (0, 0), 3)
    photo *= 1 - 0.35 * np.asarray(soft)[..., None]
    photo = with_thing(photo.astype(np.uint8), mask)
    after, (removal,) = taken_out(photo, mask, {"Wall": 255 - mask})
    shadow = (soft > 0.6) & (mask == 0)
    assert (removal.hole[shadow] > 0).mean() > 0.95
    assert np.abs(after[shadow].astype(int) - truth[shadow]).mean() < 8


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_two_surfaces_go_on_on_their_sides(slope: float) -> None:
    line = 180 + slope * (np.arange(WIDTH) - WIDTH / 2)
    below = np.arange(HEIGHT)[:, None] > line[None]
    truth = np.where(below[..., None], planks() // 2, wall()).astype(np.uint8)
    mask = spot(190, 120, 290, 250)
    hosts = {
        "Wall": np.where(below | (mask > 0), 0, 255).astype(np.uint8),
        "Floor": np.where(below & (mask == 0), 255, 0).astype(np.uint8),
    }
    after, (removal,) = taken_out(with_thing(truth, mask, (200, 40, 40)), mask, hosts)
    assert set(removal.report.hosts) == {"Wall", "Floor"}
    assert removal.report.basic_fill
    wrong = (after.mean(-1) < 130) != below
    assert wrong[mask > 0].mean() < 0.04


def test_far_things_have_holes_of_their_own() -> None:
    truth = wall()
    masks = spot(40, 40, 80, 90), spot(380, 250, 430, 310)
    both = masks[0] | masks[1]
    after, removals = taken_out(with_thing(truth, both), both, {"Wall": 255 - both})
    assert len(removals) == 2
    assert np.abs(after.astype(int) - truth)[both > 0].mean() < 6


def test_a_large_hole_is_flagged_and_filled() -> None:
    truth, mask = wall(), spot(100, 60, 340, 300)
    after, (removal,) = taken_out(with_thing(truth, mask), mask, {"Wall": 255 - mask})
    assert removal.report.hole_share > 0.3
    assert removal.report.basic_fill
    assert "large" in removal.report.reason
    assert np.abs(after.astype(int) - truth)[mask > 0].mean() < 14


def test_without_a_known_surface_whatever_is_around_goes_on_and_it_is_flagged() -> None:
    truth, mask = wall(), spot(180, 120, 250, 200)
    after, (removal,) = taken_out(with_thing(truth, mask), mask, {})
    assert removal.report.hosts == ()
    assert removal.report.basic_fill
    assert np.abs(after.astype(int) - truth)[mask > 0].mean() < 6


def test_the_same_photo_gives_the_same_filling() -> None:
    truth, mask = planks(), spot(180, 100, 280, 210)
    photo = with_thing(truth, mask)
    first, second = (taken_out(photo, mask, {"Floor": 255 - mask})[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_a_learned_inpainter_tells_the_colours() -> None:
    class Red:
        longest_side = 64

        def fill(self, pixels: Pixels, hole: NDArray[np.bool_]) -> Pixels:
            assert max(hole.shape) <= 64
            assert hole.any()
            return np.where(hole[..., None], np.array([180, 60, 60]), pixels).astype(np.uint8)

    truth, mask = wall(), spot(180, 120, 270, 220)
    photo = with_thing(truth, mask)
    canvas = CpuBackend().open(photo)
    (removal,) = plan_removal(canvas, canvas.stretch(mask), {}, [], photo, Red())
    canvas.paint(canvas.stretch(removal.hole), removal.brush)
    inside = canvas.picture()[130:210, 190:260]
    assert np.abs(inside.mean((0, 1)) - (180, 60, 60)).max() < 6
    assert inside.std((0, 1)).min() > 1
    assert not removal.report.basic_fill


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    box=st.tuples(*(st.floats(0, 1) for _ in range(4))),
    hosted=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_photo_and_any_hole(
    shape: tuple[int, int], box: tuple[float, ...], hosted: bool
) -> None:
    """Whole photos, single pixels, borders: filled, or left out where there is nothing to copy."""
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    mask = np.zeros(shape, np.uint8)
    y0, y1 = sorted(int(v * shape[0]) for v in box[:2])
    x0, x1 = sorted(int(v * shape[1]) for v in box[2:])
    mask[y0 : y1 + 1, x0 : x1 + 1] = 255
    hosts = {"Wall": np.where(mask > 0, 0, 255).astype(np.uint8)} if hosted else {}
    after, removals = taken_out(photo, mask, hosts)
    assert after.shape == photo.shape
    changed = (after != photo).any(-1)
    covered = np.zeros(shape, np.bool_)
    for removal in removals:
        covered |= removal.hole > 0
        assert np.isfinite(removal.brush.source).all()
        assert np.isfinite(removal.brush.correction).all()
    assert not (changed & ~covered).any()


def test_nothing_removed_is_no_hole() -> None:
    assert taken_out(wall(), spot(0, 0, 0, 0), {})[1] == ()
