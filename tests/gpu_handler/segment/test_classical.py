"""The classical engine on drawn scenes, on the sample albums and on photos with nothing in them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.segment.base import Segmentation, Segmenter
from gpu_handler.segment.classical import ClassicalSegmenter
from infra.samples import ALBUMS, Sample
from shared.concepts import Concept, open_concept
from shared.presets import INTERIOR, PRESETS, SELLER
from tests.gpu_handler.segment.scenes import Color, Pixels, bottle, room

ENGINE: Segmenter = ClassicalSegmenter()
ROOM = [*INTERIOR.concepts, *INTERIOR.protect_only, open_concept("a cat")]
PRODUCT = [*SELLER.concepts]
LEAST = {"Wall": 0.8, "Body": 0.8, "Floor": 0.75, "Ceiling": 0.75}
OR_ABSENT = {"Window": 0.6, "Label_Text": 0.5, "Logo": 0.5, "Parts": 0.5}


def found_in(pixels: Pixels, wanted: Sequence[Concept]) -> dict[str, Segmentation]:
    [answers] = ENGINE.segment([pixels], [wanted])
    return {answer.concept: answer for answer in answers}


def inside(answer: Segmentation, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    stretched = cv2.resize(answer.logits, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(stretched) > 0


def overlap(answer: Segmentation, truth: NDArray[np.bool_]) -> float:
    mask = inside(answer, truth.shape)
    return float((mask & truth).sum() / max(1, (mask | truth).sum()))


@pytest.mark.parametrize(
    ("wall", "floor"),
    [
        ((214, 200, 180), (170, 120, 80)),
        ((60, 70, 100), (150, 150, 150)),
        ((190, 120, 100), (90, 70, 60)),
    ],
)
def test_it_reads_a_drawn_room_whatever_its_colours(wall: Color, floor: Color) -> None:
    pixels, truth = room(wall, floor)
    found = found_in(pixels, ROOM)
    for concept in ("Wall", "Floor", "Ceiling", "Window", "Door"):
        assert overlap(found[concept], truth[concept]) > 0.9, concept
    assert overlap(found["Frame_Molding"], truth["Frame_Molding"]) > 0.6


def test_neither_furniture_nor_a_picture_is_wall() -> None:
    pixels, truth = room((214, 200, 180), (170, 120, 80))
    wall = inside(found_in(pixels, ROOM)["Wall"], pixels.shape)
    for thing in ("sofa", "cushion", "picture", "Door", "Window"):
        assert (wall & truth[thing]).sum() < 0.03 * truth[thing].sum(), thing


@pytest.mark.parametrize(
    ("body", "backdrop"),
    [
        ((60, 90, 140), (225, 222, 215)),
        ((200, 60, 50), (250, 250, 250)),
        ((40, 40, 44), (120, 130, 140)),
    ],
)
def test_it_parts_a_drawn_product_from_its_label_and_its_mark(body: Color, backdrop: Color) -> None:
    pixels, truth = bottle(body, backdrop)
    found = found_in(pixels, PRODUCT)
    for concept in ("Body", "Label_Text", "Logo"):
        assert overlap(found[concept], truth[concept]) > 0.85, concept


def test_a_contact_shadow_is_not_product() -> None:
    pixels, truth = bottle((60, 90, 140), (225, 222, 215))
    body = inside(found_in(pixels, PRODUCT)["Body"], pixels.shape)
    assert (body & truth["table"]).sum() < 0.02 * body.sum()


@pytest.mark.parametrize(("preset", "make"), [(p, make) for p in PRESETS for make in ALBUMS[p]])
def test_it_reads_the_sample_albums(preset: str, make: Callable[[float], Sample]) -> None:
    sample = make(0.5)
    found = found_in(sample.pixels, PRESETS[preset].concepts)
    for concept, least in (LEAST | OR_ABSENT).items():
        truth = sample.masks.get(concept)
        if truth is None or not (truth > 127).any():
            continue
        if concept in OR_ABSENT and not found[concept].found:
            continue
        assert overlap(found[concept], truth > 127) >= least, concept


def test_a_room_has_no_product_marks_and_what_it_cannot_tell_is_absent() -> None:
    pixels, _ = room((214, 200, 180), (170, 120, 80))
    found = found_in(pixels, ROOM)
    for concept in ("Tile", "Grout", "Cabinet", "Countertop", "Handle", "a_cat"):
        answer = found[concept]
        assert not answer.found
        assert answer.presence == 0
        assert (answer.logits == -8).all()


def test_logits_are_signed_distances_and_boxes_enclose_them() -> None:
    pixels, _ = room((120, 150, 130), (200, 190, 180))
    found = found_in(pixels, ROOM)
    for answer in found.values():
        assert answer.logits.dtype == np.float32
        assert np.abs(answer.logits).max() <= 8
        assert 0 <= answer.presence <= 1
        areas = [int((i.logits > 0).sum()) for i in answer.instances]
        assert areas == sorted(areas, reverse=True)
        for instance in answer.instances:
            h, w = instance.logits.shape
            rows, columns = np.nonzero(instance.logits > 0)
            x0, y0, x1, y1 = instance.box
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
            assert x0 * w - 1 <= columns.min() <= columns.max() < x1 * w + 1
            assert y0 * h - 1 <= rows.min() <= rows.max() < y1 * h + 1
    wall = found["Wall"].logits
    assert ((np.abs(wall) > 0.5) & (np.abs(wall) < 4)).sum() > 1000, "no ramp along the edge"


NOTHING: dict[str, Callable[[], Pixels]] = {
    "black": lambda: np.zeros((300, 400, 3), np.uint8),
    "white": lambda: np.full((300, 400, 3), 255, np.uint8),
    "one pixel": lambda: np.full((1, 1, 3), 90, np.uint8),
    "a line": lambda: np.full((1, 3000, 3), 90, np.uint8),
    "a column": lambda: np.full((3000, 2, 3), 90, np.uint8),
    "noise": lambda: np.random.default_rng(1).integers(0, 256, (400, 500, 3), dtype=np.uint8),
    "large noise": lambda: np.repeat(
        np.repeat(np.random.default_rng(2).integers(0, 256, (40, 50, 3), dtype=np.uint8), 12, 0),
        12,
        1,
    ),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_photo_with_nothing_in_it_has_no_wall_and_no_product(name: str) -> None:
    found = found_in(NOTHING[name](), ROOM + PRODUCT)
    for concept in ("Wall", "Floor", "Ceiling", "Body"):
        assert not found[concept].found, concept


def test_a_photo_in_grey_is_read_too() -> None:
    pixels, truth = room((120, 150, 130), (200, 190, 180))
    gray = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    found = found_in(np.repeat(gray[..., None], 3, axis=2), ROOM)
    assert overlap(found["Wall"], truth["Wall"]) > 0.8


def test_in_a_tiny_photo_a_floor_that_is_all_edge_is_no_rough_one() -> None:
    bedroom = next(s for make in ALBUMS["interior"] if (s := make(0.25)).name == "bedroom")
    tiny, way = (64, 48), cv2.INTER_AREA
    pixels = np.asarray(cv2.resize(bedroom.pixels, tiny, interpolation=way), np.uint8)
    mask = cv2.resize(bedroom.masks["Floor"], tiny, interpolation=way)
    # It was taken for a rough floor with nothing rough in it: numpy's warning, and no floor.
    assert overlap(found_in(pixels, ROOM)["Floor"], np.asarray(mask) > 127) > 0.75


def test_odd_strides_and_read_only_pixels_are_fine() -> None:
    pixels, truth = room((120, 150, 130), (200, 190, 180))
    flipped = pixels[:, ::-1]
    flipped.flags.writeable = False
    assert overlap(found_in(flipped, ROOM)["Wall"], truth["Wall"][:, ::-1]) > 0.8


def test_each_photo_gets_its_own_concepts_in_their_order() -> None:
    pixels, _ = room((214, 200, 180), (170, 120, 80))
    product, _ = bottle((60, 90, 140), (225, 222, 215))
    wanted = [[INTERIOR.concept("Floor"), INTERIOR.concept("Wall")], [SELLER.concept("Body")], []]
    answers = ENGINE.segment([pixels, product, pixels], wanted)
    assert [[a.concept for a in row] for row in answers] == [["Floor", "Wall"], ["Body"], []]
    assert all(a.found for row in answers for a in row)


def test_the_same_photo_gets_the_same_answer_on_any_thread() -> None:
    photos = [room((214, 200, 180), (170, 120, 80))[0], bottle((60, 90, 140), (225, 222, 215))[0]]
    wanted = [ROOM, PRODUCT]
    first = [found_in(*job) for job in zip(photos, wanted, strict=True)]
    with ThreadPoolExecutor(2) as pool:
        again = list(pool.map(found_in, photos, wanted))
    for before, after in zip(first, again, strict=True):
        for concept, answer in before.items():
            assert np.array_equal(answer.logits, after[concept].logits), concept
            boxes = [[i.box for i in found[concept].instances] for found in (before, after)]
            assert boxes[0] == boxes[1]
