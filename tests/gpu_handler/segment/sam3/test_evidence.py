"""What is made of a detector's answer: which instances count, which map, and that none is lost."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.pipeline.findings import make_findings
from gpu_handler.pipeline.plan import Plan
from gpu_handler.rules.compose import Composed
from gpu_handler.segment.base import Segmentation, Source
from gpu_handler.segment.sam3.evidence import ModelBroken, read_pairs
from gpu_handler.segment.sam3.network.detector import Detector, Found
from gpu_handler.segment.sam3.numbering import reading_order
from gpu_handler.segment.sam3.reduction import read_table, reduce_pairs
from shared.concepts import Concept, Kind
from tests.checkpoints import tiny_model

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]

SIDE = 32
SURE, UNSURE = 4.0, -4.0  # logits of 0.982 and 0.018

THING = Concept("Handle", "Handle", "손잡이", ("handle",))
WALL = Concept("Wall", "Wall", "벽", ("wall",), Kind.SURFACE)
EVERYTHING: Box = (0, 0, 1, 1)


class Query(NamedTuple):
    score: float
    mask: Floats
    box: Box = EVERYTHING


class Said(NamedTuple):
    """What the detector says about one pair; `presence` in 0..1."""

    queries: Sequence[Query]
    presence: float = 0.98
    semantic: Floats | None = None


def patch(box: Box, inside: float = SURE, side: int = SIDE) -> Floats:
    """Logits of a box in 0..1: `inside`, and the opposite around it."""
    x0, y0, x1, y1 = (round(edge * side) for edge in box)
    logits = np.full((side, side), UNSURE, np.float32)
    logits[y0:y1, x0:x1] = inside
    return logits


def instance(box: Box, score: float = 0.9) -> Query:
    return Query(score, patch(box), box)


def answer(*said: Said, queries: int = 6, dtype: torch.dtype = torch.float32) -> Found:
    """The detector's answer to as many pairs; queries not named have next to no score."""
    nothing = Query(0.01, patch((0, 0, 0, 0)))
    filled = [
        sorted([*s.queries, *[nothing] * (queries - len(s.queries))], key=lambda q: -q.score)
        for s in said
    ]
    maps = [patch((0, 0, 0, 0)) if s.semantic is None else s.semantic for s in said]
    presence = torch.tensor([s.presence for s in said])
    scores = torch.tensor([[q.score for q in row] for row in filled])
    return Found(
        scores,
        (scores / presence[:, None]).clamp(0, 1).logit(1e-6),
        torch.tensor([[q.box for q in row] for row in filled]),
        presence.logit(),
        torch.from_numpy(np.stack([[q.mask for q in row] for row in filled])).to(dtype),
        torch.from_numpy(np.stack(maps)).to(dtype),
    )


def read(said: Said, concept: Concept = THING) -> Segmentation:
    [segmentation] = read_pairs(answer(said), [concept], ["a phrase"])
    return segmentation


def share(segmentation: Segmentation) -> float:
    return float((segmentation.logits > 0).mean())


def same(a: Segmentation, b: Segmentation) -> bool:
    return (
        (a.concept, a.presence, a.source, a.phrase, a.capped)
        == (b.concept, b.presence, b.source, b.phrase, b.capped)
        and np.array_equal(a.logits, b.logits)
        and len(a.instances) == len(b.instances)
        and all(
            (x.score, x.box) == (y.score, y.box) and np.array_equal(x.logits, y.logits)
            for x, y in zip(a.instances, b.instances, strict=True)
        )
    )


LEFT, RIGHT, HALF = (0.0, 0.0, 0.25, 0.5), (0.75, 0.5, 1.0, 1.0), (0.0, 0.0, 0.5, 1.0)


def test_a_thing_is_the_union_of_the_instances_that_count() -> None:
    low = instance((0.25, 0.25, 0.75, 0.75), score=0.49)
    empty = Query(0.95, np.full((SIDE, SIDE), -1, np.float32), HALF)

    handle = read(Said([instance(RIGHT, 0.6), instance(LEFT), low, empty]))

    assert handle.found
    assert [i.box for i in handle.instances] == [LEFT, RIGHT]
    assert [round(i.score, 6) for i in handle.instances] == [0.9, 0.6]
    assert np.array_equal(handle.logits, np.maximum(patch(LEFT), patch(RIGHT)))
    assert np.array_equal(handle.instances[0].logits, patch(LEFT))
    assert handle.instances[0].logits.dtype == np.float16
    assert handle.logits.dtype == np.float32
    assert (handle.source, handle.phrase, handle.capped) == (Source.INSTANCES, "a phrase", False)
    assert handle.presence == pytest.approx(0.98)


def test_the_threshold_is_the_concepts_own() -> None:
    said = Said([instance(LEFT, 0.4)])
    strict, lenient = (Concept("C", "C", "C", ("c",), threshold=t) for t in (0.41, 0.39))
    both = read_pairs(answer(said, said), [strict, lenient], ["c", "c"])
    assert [s.found for s in both] == [False, True]


def test_absent_says_so() -> None:
    handle = read(Said([instance(LEFT, 0.3)], presence=0.2))
    assert not handle.found
    assert handle.logits.shape == (SIDE, SIDE)
    assert (handle.logits == -8).all()
    assert handle.presence == pytest.approx(0.2)
    assert handle.phrase == "a phrase"


def test_boxes_are_clipped_and_an_empty_one_is_drawn_around_its_mask() -> None:
    beyond = Query(0.9, patch((0, 0, 1, 0.25)), (-0.1, -0.02, 1.07, 0.25))
    outside = Query(0.8, patch((0.5, 0.5, 0.75, 1)), (1.01, 0.5, 1.2, 0.6))
    first, second = read(Said([beyond, outside])).instances
    assert first.box == (0, 0, 1, 0.25)
    assert second.box == (0.5, 0.5, 0.75, 1)


def test_no_pair_has_no_answer() -> None:
    assert read_pairs(answer(Said([])), [THING], ["x"])[0].found is False
    empty = Found(*(tensor[:0] for tensor in answer(Said([]))))
    assert read_pairs(empty, [], []) == []
    with pytest.raises(ValueError, match="one concept"):
        read_pairs(empty, [THING], ["x"])


# The semantic map of a surface


def test_a_surface_takes_the_map_where_instances_miss_a_part_it_is_sure_of() -> None:
    wall = read(Said([instance(HALF)], semantic=patch(EVERYTHING)), WALL)
    assert wall.source is Source.SEMANTIC
    assert share(wall) == 1
    [whole] = wall.instances
    assert whole.box == EVERYTHING
    assert whole.score == pytest.approx(0.98 / (1 + np.exp(-SURE)), abs=1e-6)


def test_a_thing_never_takes_the_map() -> None:
    handle = read(Said([instance(HALF)], semantic=patch(EVERYTHING)), THING)
    assert (handle.source, share(handle)) == (Source.INSTANCES, 0.5)
    assert not read(Said([], semantic=patch(EVERYTHING)), THING).found


def test_a_surface_takes_instances_where_the_map_is_unsure_of_the_rest() -> None:
    unsure = np.maximum(patch(HALF), 0.3)  # 0.57 everywhere else
    wall = read(Said([instance(HALF)], presence=0.7, semantic=unsure), WALL)
    assert (wall.source, share(wall)) == (Source.INSTANCES, 0.5)


def test_a_surface_takes_instances_that_see_what_the_map_does_not() -> None:
    wall = read(Said([instance(EVERYTHING)], semantic=patch(HALF)), WALL)
    assert (wall.source, share(wall)) == (Source.INSTANCES, 1)


@pytest.mark.parametrize("presence", [0.05, 0.3, 0.49])
def test_without_presence_the_map_is_garbage(presence: float) -> None:
    sharp_garbage = patch(EVERYTHING, 12)
    assert not read(Said([], presence, sharp_garbage), WALL).found
    low = Concept("Wall", "Wall", "벽", ("wall",), Kind.SURFACE, threshold=presence - 0.02)
    wall = read(Said([instance(LEFT, presence - 0.01)], presence, sharp_garbage), low)
    assert (wall.source, share(wall)) == (Source.INSTANCES, 0.125)


def test_where_both_agree_instances_stay_apart() -> None:
    both = np.maximum(patch(LEFT), patch(RIGHT))
    for edge in (0, 1):  # the map a cell wider makes no difference
        wider = both.copy()
        wider[16, : 8 * edge] = 0.1
        wall = read(Said([instance(LEFT), instance(RIGHT)], semantic=wider), WALL)
        assert wall.source is Source.INSTANCES
        assert [i.box for i in wall.instances] == [LEFT, RIGHT]


def test_without_instances_each_part_of_the_map_is_one() -> None:
    semantic = np.maximum(patch(LEFT), patch(RIGHT, 2.0))
    wall = read(Said([instance(HALF, 0.3)], semantic=semantic), WALL)
    assert wall.source is Source.SEMANTIC
    assert [i.box for i in wall.instances] == [LEFT, RIGHT]
    chances = [0.98 / (1 + np.exp(-height)) for height in (SURE, 2.0)]
    assert [i.score for i in wall.instances] == pytest.approx(chances, abs=1e-4)
    assert np.array_equal(wall.instances[1].logits > 0, patch(RIGHT) > 0)
    assert np.array_equal(wall.logits, semantic)


def test_parts_that_are_specks_or_unsure_leave_the_map() -> None:
    side = 64
    semantic = patch(LEFT, side=side)
    semantic[40, 40] = SURE  # 1 of 4096 cells: below 1/2000
    semantic[50:60, 10:40] = 0.02  # 0.98 * 0.505 does not reach the threshold
    found = Found(
        torch.tensor([[0.1]]),
        torch.tensor([[-2.0]]),
        torch.tensor([[EVERYTHING]]),
        torch.tensor([0.98]).logit(),
        torch.from_numpy(patch((0, 0, 0, 0), side=side))[None, None],
        torch.from_numpy(semantic)[None],
    )
    [wall] = read_pairs(found, [WALL], ["wall"])
    assert len(wall.instances) == 1
    assert np.array_equal(wall.logits > 0, patch(LEFT, side=side) > 0)


def test_a_map_without_a_part_that_counts_leaves_the_surface_to_its_instances() -> None:
    loose = Concept("Wall", "Wall", "벽", ("wall",), Kind.SURFACE, threshold=0.55)
    semantic = np.full((SIDE, SIDE), 0.15, np.float32)  # 0.98 * 0.537
    assert not read(Said([], semantic=semantic), loose).found
    wall = read(Said([instance((0, 0, 0.125, 0.125), 0.6)], semantic=semantic), loose)
    assert (wall.source, len(wall.instances)) == (Source.INSTANCES, 1)


# The same numbers every time


def jittered(rng: np.random.Generator, queries: Sequence[Query], size: float = 1e-3) -> list[Query]:
    shaken = [
        Query(
            q.score + rng.uniform(-size, size),
            q.mask,
            tuple(float(edge + rng.uniform(-size, size)) for edge in q.box),  # pyright: ignore
        )
        for q in queries
    ]
    return [shaken[n] for n in rng.permutation(len(shaken))]


def test_instances_keep_their_numbers_whatever_the_last_digits_say() -> None:
    rng = np.random.default_rng(5)
    spots = [(x / 4, y / 4, (x + 1) / 4, (y + 1) / 4) for y in range(4) for x in range(4)]
    queries = [Query(0.8, patch(spot), spot) for spot in spots]
    for _ in range(20):
        found = answer(Said(jittered(rng, queries)), queries=20)
        [grid] = read_pairs(found, [THING], ["handle"])
        masks = [instance.logits > 0 for instance in grid.instances]
        assert all(np.array_equal(m, patch(spot) > 0) for m, spot in zip(masks, spots, strict=True))


def far_from(limit: float, values: Sequence[float]) -> bool:
    gaps = np.abs(np.subtract.outer(values, values))
    return not ((gaps > limit - 0.0025) & (gaps < limit + 0.0025)).any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
@settings(max_examples=200)
def test_noise_renumbers_nothing_unless_a_gap_is_at_its_limit(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    corners, sizes = rng.random((count, 2)) * 0.8, rng.choice([0.05, 0.1, 0.2], (count, 2))
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]
    across, down = [(b[0] + b[2]) / 2 for b in boxes], [(b[1] + b[3]) / 2 for b in boxes]
    roots = [float(np.sqrt((b[2] - b[0]) * (b[3] - b[1]))) for b in boxes]
    assume(far_from(0.03, down) and far_from(0.01, down))
    assume(far_from(0.01, across) and far_from(0.01, roots))
    apart = np.subtract.outer(across, across) ** 2 + np.subtract.outer(down, down) ** 2
    assume((apart + np.eye(count) > 0.02**2).all())
    order = reading_order(boxes)
    assert sorted(order) == list(range(count))
    mixed = rng.permutation(count)
    noisy = [tuple(float(edge + rng.uniform(-1e-3, 1e-3)) for edge in boxes[n]) for n in mixed]
    assert [int(mixed[n]) for n in reading_order(noisy)] == order  # pyright: ignore


def test_reading_order_is_rows_from_the_top_each_from_the_left() -> None:
    def at(x: float, y: float, size: float = 0.1) -> Box:
        return x, y, x + size, y + size

    boxes = [at(0.7, 0.11), at(0.1, 0.1), at(0.4, 0.12), at(0.2, 0.6), at(0.15, 0.55, 0.2)]
    assert reading_order(boxes) == [1, 2, 0, 4, 3]  # the last two share their centre


@given(st.integers(0, 2**32 - 1), st.integers(1, 19))
@settings(max_examples=25)
def test_an_answer_does_not_depend_on_its_batch(seed: int, count: int) -> None:
    found, concepts = random_answer(np.random.default_rng(seed), count)
    phrases = [f"phrase {n}" for n in range(count)]
    together = read_pairs(found, concepts, phrases)
    for n in range(count):
        alone = Found(*(tensor[n : n + 1] for tensor in found))
        [one] = read_pairs(alone, concepts[n : n + 1], phrases[n : n + 1])
        assert same(one, together[n])


# The reduction


def random_answer(
    rng: np.random.Generator, count: int, queries: int = 5, side: int = 12
) -> tuple[Found, list[Concept]]:
    presence = torch.tensor(rng.normal(1, 2, count), dtype=torch.float32)
    logits = torch.tensor(-np.sort(-rng.normal(0, 2, (count, queries)), 1), dtype=torch.float32)
    corners = np.sort(rng.uniform(-0.1, 1.1, (count, queries, 2, 2)), 2)
    found = Found(
        logits.sigmoid() * presence.sigmoid()[:, None],
        logits,
        torch.tensor(corners.reshape(count, queries, 4), dtype=torch.float32),
        presence,
        torch.tensor(rng.normal(-1, 3, (count, queries, side, side)), dtype=torch.float32),
        torch.tensor(rng.normal(0, 3, (count, side, side)), dtype=torch.float32),
    )
    return found, [WALL if rng.random() < 0.5 else THING for _ in range(count)]


def chance(logits: Floats | float) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 10))
@settings(max_examples=25)
def test_the_reduction_is_what_its_formula_says(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    found, _ = random_answer(rng, count)
    limits = torch.tensor(rng.uniform(0.1, 0.6, count), dtype=torch.float32)
    table, union = reduce_pairs(found, limits)
    for p, row in enumerate(read_table(table)):
        scores, masks = found.scores[p].numpy(), found.masks[p].numpy()
        counting = [
            q
            for q in range(5)
            if scores[q] >= limits[p] and (masks[q].astype(np.float16) > 0).any()
        ]
        assert row.counting.tolist() == counting
        assert row.capped == bool((scores >= float(limits[p])).all())
        assert np.array_equal(row.boxes, found.boxes[p].numpy())
        claims = masks[counting].max(0, initial=-20).astype(np.float16)
        assert np.array_equal(union[p].numpy(), claims)
        presence = float(chance(float(found.presence[p])))
        semantic = found.semantic[p].numpy()
        belief = np.maximum(
            (chance(masks[counting]) * scores[counting, None, None]).max(0, initial=0),
            chance(semantic) * presence,
        )
        belief[(claims <= 0) & (semantic <= 0)] = 0
        for region, agreement in ((claims > 0, row.agreement), (semantic > 0, row.map_agreement)):
            expected = 2 * belief[region].sum() / max(1e-6, region.sum() + belief.sum())
            assert agreement == pytest.approx(expected, rel=1e-4, abs=1e-6)
            assert 0 <= agreement <= 1.0001


def test_the_host_is_never_asked_while_the_device_reduces() -> None:
    """A tensor without values cannot answer: whatever needs one, fails on it."""
    found, _ = random_answer(np.random.default_rng(0), 19)
    nowhere = Found(*(tensor.to("meta") for tensor in found))
    table, union = reduce_pairs(nowhere, torch.empty(19, device="meta"))
    assert table.shape == (19, 4 + 6 * 5)
    assert union.shape == (19, 12, 12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_the_same_instances(dtype: torch.dtype) -> None:
    said = Said([instance(LEFT, 0.8), instance(RIGHT)], semantic=patch(HALF))
    full = read_pairs(answer(said), [THING], ["x"])
    assert all(map(same, read_pairs(answer(said, dtype=dtype), [THING], ["x"]), full))
    whole = Said([instance(HALF)], semantic=patch(EVERYTHING))
    [wall] = read_pairs(answer(whole, dtype=dtype), [WALL], ["x"])
    assert (wall.source, share(wall)) == (Source.SEMANTIC, 1)


def test_logits_stay_within_twenty_and_a_cell_too_faint_for_float16_is_none() -> None:
    wild = patch(HALF, np.inf)
    wild[:, 20:] = -np.inf
    handle = read(Said([Query(0.9, wild)]))
    assert (handle.logits.min(), handle.logits.max()) == (-20, 20)
    assert np.isfinite(handle.instances[0].logits).all()
    faint = np.full((SIDE, SIDE), 1e-9, np.float32)
    assert not read(Said([Query(0.9, faint)])).found


@pytest.mark.parametrize("where", ["scores", "boxes", "presence", "masks", "semantic"])
def test_a_number_that_is_none_is_an_error(where: str) -> None:
    good, bad = Said([instance(LEFT)], semantic=patch(LEFT)), Said([instance(LEFT)])
    found = answer(good, bad)
    getattr(found, where)[1].view(-1)[0] = torch.nan
    with pytest.raises(ModelBroken, match=r"'second'.*weights"):
        read_pairs(found, [THING, WALL], ["first", "second"])


# Nothing is lost


def spots(count: int) -> list[Box]:
    return [
        (x / 12 + 0.01, y / 12 + 0.01, x / 12 + 0.07, y / 12 + 0.07)
        for y in range(12)
        for x in range(12)
    ][:count]


@pytest.mark.parametrize(("things", "reported", "capped"), [(100, 100, False), (140, 128, True)])
def test_every_instance_comes_through_or_the_cap_is_told(
    things: int, reported: int, capped: bool
) -> None:
    ranked = [
        Query(0.9 - 0.002 * n, patch(box, side=96), box) for n, box in enumerate(spots(things))
    ][:128]
    nothing = Query(0.01, patch((0, 0, 0, 0), side=96))
    queries = [*ranked, *[nothing] * (128 - len(ranked))]
    found = Found(
        torch.tensor([[q.score for q in queries]]),
        torch.zeros(1, 128),
        torch.tensor([[q.box for q in queries]]),
        torch.tensor([5.0]),
        torch.from_numpy(np.stack([q.mask for q in queries])[None]),
        torch.from_numpy(nothing.mask[None]),
    )
    [answered] = read_pairs(found, [THING], ["handle"])
    assert (len(answered.instances), answered.capped) == (reported, capped)
    assert [i.score for i in answered.instances] == [pytest.approx(q.score) for q in ranked]


LENGTHS = st.one_of(st.integers(1, 60), st.sampled_from([1, 2, 3000, 8000]))


@given(st.integers(0, 2**32 - 1), LENGTHS, LENGTHS)
@settings(max_examples=25)
def test_photos_of_any_shape_keep_boxes_areas_and_masks_inside(
    seed: int, height: int, width: int
) -> None:
    assume(height * width <= 200_000)
    found, _ = random_answer(np.random.default_rng(seed), 2)
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    answers = read_pairs(found, [THING, WALL], ["handle", "wall"])
    plan = Plan((), {}, frozenset(one.concept for one in answers))
    findings = make_findings("sam3", plan, answers, Composed(), (height, width), [])
    canvas = CpuBackend().open(photo)
    for segmentation in answers:
        for one in findings.concepts[segmentation.concept].instances:
            x0, y0, x1, y1 = one.box
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            assert 0 <= one.area <= width * height
        alpha = canvas.refine(segmentation.logits).host()
        assert alpha.shape == (height, width)
        assert segmentation.found or not alpha.any()


def test_the_detectors_own_answer_is_read() -> None:
    detector = Detector(tiny_model(seed=3, sure=True))
    photos = torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8)
    with torch.inference_mode():
        features = detector.encode(photos)
        text, words = torch.randn(2, 6, 32), torch.ones(2, 6, dtype=torch.bool)
        pairs = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
        found = detector.decode(features, text, words, *pairs)
    answers = read_pairs(found, [THING, WALL] * 2, ["handle", "wall"] * 2)
    assert any(a.found for a in answers)
    for row, segmentation in enumerate(answers):
        assert segmentation.logits.shape == (32, 32)
        if segmentation.source is Source.INSTANCES:
            sure = (found.scores[row] >= 0.5) & (found.masks[row].amax((1, 2)) > 0)
            assert len(segmentation.instances) == int(sure.sum())


@pytest.mark.slow
def test_a_hundred_instances_on_a_large_photo_need_less_than_two_gigabytes() -> None:
    script = Path(__file__).parent / "crowd.py"
    finished = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )
    report = json.loads(finished.stdout)
    assert report["instances"] == 100, report
    assert report["wrong_areas"] == []
    assert report["grown_mib"] < 2048
