"""Who keeps a cell that several concepts claim, in cases drawn by hand and in random ones."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.segment.base import Instance, Segmentation
from gpu_handler.segment.overlap import settle_overlaps
from shared.concepts import Concept, Kind

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def concept(name: str, kind: Kind = Kind.INSTANCES) -> Concept:
    return Concept(name, name, name, (name,), kind)


def box_logits(rows: slice, columns: slice, height: float = 4.0, side: int = 16) -> Floats:
    logits = np.full((side, side), -4, np.float32)
    logits[rows, columns] = height
    return logits


def seen(name: str, *parts: Floats) -> Segmentation:
    """Found, with the union of its parts, each an instance over the whole photo."""
    instances = tuple(Instance(0.9, (0.0, 0.0, 1.0, 1.0), p.astype(np.float16)) for p in parts)
    return Segmentation(name, 0.9, np.maximum.reduce(parts), instances)


def claims(answer: Segmentation, side: int = 16) -> Mask:
    if not answer.found:
        return np.zeros((side, side), np.bool_)
    if answer.logits.shape != (side, side):
        size = (side, side)
        return np.asarray(cv2.resize(answer.logits, size, interpolation=cv2.INTER_LINEAR)) > 0
    return answer.logits > 0


def same(a: Segmentation, b: Segmentation) -> bool:
    return (
        np.array_equal(a.logits, b.logits)
        and len(a.instances) == len(b.instances)
        and all(
            (x.score, x.box) == (y.score, y.box) and np.array_equal(x.logits, y.logits)
            for x, y in zip(a.instances, b.instances, strict=True)
        )
    )


WALL, FLOOR = concept("Wall", Kind.SURFACE), concept("Floor", Kind.SURFACE)
DOOR, HANDLE = concept("Door"), concept("Handle")


def settle(
    *pairs: tuple[Concept, Segmentation], protected: Sequence[str] = ()
) -> list[Segmentation]:
    return settle_overlaps([s for _, s in pairs], [c for c, _ in pairs], frozenset(protected))


def test_things_lie_before_surfaces_and_small_ones_before_large_ones() -> None:
    wall = seen("Wall", box_logits(slice(0, 16), slice(0, 16), 9))
    door = seen("Door", box_logits(slice(4, 16), slice(4, 10), 6))
    handle = seen("Handle", box_logits(slice(8, 10), slice(8, 11), 1))

    left = settle((WALL, wall), (DOOR, door), (HANDLE, handle))

    assert [answer.concept for answer in left] == ["Wall", "Door", "Handle"]
    assert left[2] is handle
    assert np.array_equal(claims(left[1]), claims(door) & ~claims(handle))
    assert np.array_equal(claims(left[0]), claims(wall) & ~claims(door) & ~claims(handle))


def test_the_higher_logit_wins_between_surfaces_and_a_tie_goes_to_the_first() -> None:
    wall = seen("Wall", box_logits(slice(0, 10), slice(0, 16), 3))
    floor = box_logits(slice(6, 16), slice(0, 16), 3)
    floor[6:10, :8] = 5

    first, second = settle((WALL, wall), (FLOOR, seen("Floor", floor)))

    assert claims(first)[:6].all()
    assert not claims(first)[6:10, :8].any()
    assert claims(first)[6:10, 8:].all()
    assert np.array_equal(claims(second), (floor > 0) & ~claims(first))


def test_of_two_things_of_one_size_the_first_is_in_front() -> None:
    same_place = box_logits(slice(2, 6), slice(2, 6))
    first, second = settle((DOOR, seen("Door", same_place)), (HANDLE, seen("Handle", same_place)))
    assert first.found
    assert not second.found


def test_both_masks_end_along_the_same_line() -> None:
    across = np.linspace(-6, 6, 16, dtype=np.float32)
    thing = seen("Door", np.broadcast_to(across, (16, 16)).copy())
    wall = seen("Wall", np.full((16, 16), 8, np.float32))

    left, _ = settle((WALL, wall), (DOOR, thing))

    wide = cv2.resize(left.logits, (320, 320), interpolation=cv2.INTER_LINEAR) > 0
    other = cv2.resize(thing.logits, (320, 320), interpolation=cv2.INTER_LINEAR) > 0
    assert (wide & other).sum() == 0
    assert (~wide & ~other).mean() < 0.01


@pytest.mark.parametrize("kind", list(Kind))
def test_a_protected_concept_keeps_all_and_takes_nothing(kind: Kind) -> None:
    door = seen("Door", box_logits(slice(0, 8), slice(0, 8)))
    kept = seen("Grout", box_logits(slice(4, 12), slice(4, 12), 0.5))
    left = settle((DOOR, door), (concept("Grout", kind), kept), protected=["Grout"])
    assert left[0] is door
    assert left[1] is kept


def test_instances_lose_the_same_cells_and_one_that_loses_all_is_dropped() -> None:
    whole = box_logits(slice(0, 8), slice(0, 8))
    hidden = box_logits(slice(12, 14), slice(12, 14))
    doors = seen("Door", whole, hidden)
    handle = seen(
        "Handle", np.maximum(box_logits(slice(0, 8), slice(4, 8)), hidden)
    )  # over the right half of one door, and over all of the other

    left, _ = settle((DOOR, doors), (HANDLE, handle))

    [instance] = left.instances
    assert np.array_equal(instance.logits > 0, box_logits(slice(0, 8), slice(0, 4)) > 0)
    assert instance.box == (0, 0, 0.25, 0.5)
    assert instance.logits.dtype == np.float16
    assert np.array_equal(instance.logits > 0, left.logits > 0)


def test_a_concept_that_loses_everything_is_not_found() -> None:
    wall = seen("Wall", box_logits(slice(2, 4), slice(2, 4)))
    left, _ = settle((WALL, wall), (DOOR, seen("Door", box_logits(slice(0, 8), slice(0, 8)))))
    assert not left.found
    assert (left.logits < 0).all()
    assert left.presence == wall.presence


def test_numbers_that_are_none_claim_nothing() -> None:
    wall = seen("Wall", box_logits(slice(0, 8), slice(0, 8)))
    broken = box_logits(slice(0, 2), slice(0, 2))
    broken[4:6] = np.nan
    left, _ = settle((WALL, wall), (DOOR, seen("Door", broken)))
    assert np.array_equal(claims(left), claims(wall) & ~(broken > 0))


def test_as_many_concepts_as_answers() -> None:
    with pytest.raises(ValueError, match="one concept"):
        settle_overlaps([], [WALL], frozenset())


def scene(
    rng: np.random.Generator, count: int, sides: Sequence[int]
) -> tuple[list[Concept], list[Segmentation], frozenset[str]]:
    """Concepts on grids of `sides`, some absent, some protected, with many equal logits."""
    kinds = rng.choice(list(Kind), count)
    concepts = [concept(f"C{n}", Kind(str(kind))) for n, kind in enumerate(kinds)]
    found: list[Segmentation] = []
    for one in concepts:
        side = int(rng.choice(sides))
        levels = rng.choice([1, 8]) * rng.integers(-2, 3, (2, side, side)).astype(np.float32)
        soft = [np.asarray(cv2.blur(level, (3, 3)), np.float32) for level in levels]
        parts = [part for part in (soft if rng.random() < 0.5 else levels) if (part > 0).any()]
        half = [part.astype(np.float16).astype(np.float32) for part in parts]
        absent = Segmentation(one.id, 0.1, np.full((side, side), -8, np.float32))
        found.append(seen(one.id, *half) if half and rng.random() < 0.9 else absent)
    return concepts, found, frozenset(c.id for c in concepts if rng.random() < 0.2)


SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(0, 5), st.sampled_from([(8,), (16,), (8, 16)]))
@settings(max_examples=200)
def test_nothing_is_claimed_twice_and_settling_twice_changes_nothing(
    seed: int, count: int, sides: tuple[int, ...]
) -> None:
    concepts, found, protected = scene(np.random.default_rng(seed), count, sides)
    rivals = [n for n, one in enumerate(concepts) if one.id not in protected]
    side = max([found[n].logits.shape[0] for n in rivals], default=16)

    settled = settle_overlaps(found, concepts, protected)

    masks = [claims(settled[n], side) for n in rivals]
    owners = sum((mask.astype(int) for mask in masks), np.zeros((side, side), int))
    assert owners.max() <= 1
    for mask, n in zip(masks, rivals, strict=True):
        assert not (mask & ~claims(found[n], side)).any()
    for was, now in zip(found, settled, strict=True):
        assert was.concept == now.concept
        assert now is was or was.concept not in protected
        assert all((i.logits > 0).any() for i in now.instances)
    assert all(map(same, settled, settle_overlaps(settled, concepts, protected)))


@given(SEEDS, st.integers(0, 5))
def test_on_one_grid_every_claimed_cell_keeps_one_owner_and_instances_follow(
    seed: int, count: int
) -> None:
    concepts, found, protected = scene(np.random.default_rng(seed), count, [16])
    before = [(s.logits.copy(), [i.logits.copy() for i in s.instances]) for s in found]

    settled = settle_overlaps(found, concepts, protected)

    rivals = [n for n, one in enumerate(concepts) if one.id not in protected]
    nothing = np.zeros((16, 16), np.bool_)
    owned = np.logical_or.reduce([nothing, *(claims(settled[n]) for n in rivals)])
    assert np.array_equal(
        owned, np.logical_or.reduce([nothing, *(claims(found[n]) for n in rivals)])
    )
    for now in settled:
        parts = [nothing, *(instance.logits > 0 for instance in now.instances)]
        assert np.array_equal(np.logical_or.reduce(parts), now.logits > 0)
    for (logits, kept), was in zip(before, found, strict=True):
        assert np.array_equal(logits, was.logits)
        assert all(map(np.array_equal, kept, (i.logits for i in was.instances)))
