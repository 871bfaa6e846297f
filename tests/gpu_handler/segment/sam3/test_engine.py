"""The engine: batches of any photos and concepts, wordings in turn, devices that fail."""

import contextlib
import logging
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.segment.base import Segmentation, Segmenter
from gpu_handler.segment.sam3.device.budget import Budget
from gpu_handler.segment.sam3.engine import DeviceMissing, Sam3Segmenter, open_engine
from gpu_handler.segment.sam3.network.detector import Detector, Features, Found
from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint, open_folder
from gpu_handler.segment.sam3.weights.loading import load_model
from gpu_handler.segment.sam3.weights.refusals import MemoryShort
from gpu_handler.segment.sam3.words.text import PhraseBook
from shared.concepts import Concept, Kind
from tests.checkpoints import tiny_model, write_checkpoint
from tests.gpu_handler.segment.sam3.scripted import (
    CELLS,
    ScriptedEyes,
    ScriptedPhrases,
    Seen,
    photo_of,
)

OOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
LOST = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nMore.")


def concept(*prompts: str, kind: Kind = Kind.INSTANCES) -> Concept:
    return Concept(prompts[0].title(), prompts[0], prompts[0], prompts, kind)


WALL, DOOR, LAMP = concept("wall"), concept("door", "gate"), concept("lamp", "light bulb", "light")
NAMES = [concept(f"thing {n}", f"object {n}") for n in range(5)]


def scripted(
    seen: Seen,
    budget: Budget | None = None,
    *,
    room: int = 1000,
    failures: Sequence[Exception | None] = (),
) -> tuple[Sam3Segmenter, ScriptedEyes, ScriptedPhrases]:
    phrases = ScriptedPhrases()
    eyes = ScriptedEyes(phrases, seen, room=room, failures=failures)
    return Sam3Segmenter(eyes, phrases, budget or Budget(4, 8)), eyes, phrases


def told(answers: Sequence[Sequence[Segmentation]]) -> list[list[tuple[str, str, bool, float]]]:
    return [[(a.concept, a.phrase, a.found, round(a.presence, 3)) for a in row] for row in answers]


# Wordings


def test_the_next_wording_is_asked_only_where_the_last_found_nothing() -> None:
    engine, eyes, _ = scripted({(1, "door"): 0.9, (2, "gate"): 0.8, (2, "light"): 0.7})
    answers = engine.segment([photo_of(1), photo_of(2)], [[DOOR], [DOOR, LAMP]])
    assert told(answers) == [
        [("Door", "door", True, 0.9)],
        [("Door", "gate", True, 0.8), ("Lamp", "light", True, 0.7)],
    ]
    assert eyes.encoded == [[1, 2]]
    assert eyes.decoded == [
        [(1, "door"), (2, "door")],
        [(2, "lamp")],
        [(2, "gate"), (2, "light bulb")],
        [(2, "light")],
    ]


def test_what_is_absent_carries_its_best_presence_and_its_last_wording() -> None:
    engine, _, _ = scripted({(1, "lamp"): 0.1, (1, "light bulb"): 0.4, (1, "light"): 0.2})
    answer = engine.segment([photo_of(1)], [[LAMP]])[0][0]
    assert told([[answer]]) == [[("Lamp", "light", False, 0.4)]]
    assert answer.logits.shape == (CELLS, CELLS)
    assert (answer.logits < 0).all()


def test_a_concept_without_prompts_is_asked_by_its_name() -> None:
    engine, _, _ = scripted({(1, "Old Door"): 0.9})
    assert engine.segment([photo_of(1)], [[Concept("d", "Old Door", "문", ())]])[0][0].found


# Shapes


def test_a_phrase_of_many_pairs_is_one_row_and_rows_are_as_many_as_pairs() -> None:
    engine, eyes, phrases = scripted({}, Budget(4, 8))
    engine.segment([photo_of(n) for n in range(4)], [[WALL, concept("wall")]] * 4)
    assert phrases.asked == [["wall"] * 8]
    assert eyes.decoded == [[(n // 2, "wall") for n in range(8)]]
    engine.segment([photo_of(n) for n in range(4)], [[WALL, concept("frame")]] * 4)
    assert phrases.asked[-1] == ["wall"] + ["frame"] * 7
    assert eyes.decoded[-1] == [(n // 2, ("wall", "frame")[n % 2]) for n in range(8)]


@pytest.mark.parametrize(("words", "length"), [(1, 8), (6, 8), (7, 16), (14, 16), (30, 32)])
def test_text_is_cut_to_the_longest_phrase(words: int, length: int) -> None:
    engine, eyes, _ = scripted({})
    long = concept(" ".join(["very"] * (words - 1) + ["red"]))
    engine.segment([photo_of(1)], [[WALL, long]])
    assert eyes.text_shapes == [(2, length)]


def test_a_gpu_pads_and_drops_the_padding() -> None:
    seen = {(n, "wall"): 0.5 + n / 10 for n in range(1, 4)}
    engine, eyes, _ = scripted(seen, Budget(4, 8, padding=0.25))
    answers = engine.segment([photo_of(n) for n in (1, 2, 3)], [[WALL]] * 3)
    assert eyes.encoded == [[1, 2, 3, 3]]
    assert eyes.decoded == [[(1, "wall"), (2, "wall"), (3, "wall"), (3, "wall")]]
    assert [row[0].presence for row in answers] == pytest.approx([0.6, 0.7, 0.8])


def test_a_cpu_splits_instead() -> None:
    engine, eyes, _ = scripted({}, Budget(4, 8))
    engine.segment([photo_of(n) for n in (1, 2, 3)], [[WALL]] * 3)
    assert eyes.encoded == [[1, 2], [3]]
    assert [len(pairs) for pairs in eyes.decoded] == [2, 1]


def test_photos_that_are_not_prepared_are() -> None:
    engine, eyes, _ = scripted({})
    engine.segment([np.full((30, 50, 3), 7, np.uint8)], [[WALL]])
    assert eyes.encoded == [[7]]


def test_nothing_asked_costs_nothing() -> None:
    engine, eyes, _ = scripted({(3, "wall"): 0.9})
    assert engine.segment([], []) == []
    assert engine.segment([photo_of(1), photo_of(2)], [[], []]) == [[], []]
    assert eyes.calls == 0
    answers = engine.segment([photo_of(1), photo_of(3), photo_of(2)], [[], [WALL], []])
    assert told(answers) == [[], [("Wall", "wall", True, 0.9)], []]
    assert eyes.encoded == [[3]]


def test_photos_and_concepts_must_be_as_many() -> None:
    engine, _, _ = scripted({})
    with pytest.raises(ValueError, match="1 photos, but concepts for 2"):
        engine.segment([photo_of(1)], [[WALL], [DOOR]])


# Devices that fail

greys = st.integers(1, 6)
scripts = st.dictionaries(
    st.tuples(greys, st.sampled_from([p for c in NAMES for p in c.prompts])),
    st.floats(0.05, 0.95).filter(lambda presence: abs(presence - 0.5) > 0.01),
)
albums = st.lists(st.tuples(greys, st.lists(st.sampled_from(NAMES), max_size=5)), max_size=9)
shortages = [
    OOM,
    MemoryError("no memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
]


@settings(max_examples=60, deadline=None)
@given(
    scripts,
    albums,
    st.sampled_from([0.0, 0.25, 0.5]),
    st.integers(2, 30),
    st.lists(st.sampled_from([None, None, *shortages]), max_size=3),
)
def test_no_answer_is_lost_or_changed_where_memory_ends(
    seen: Seen,
    album: list[tuple[int, list[Concept]]],
    padding: float,
    room: int,
    failures: list[Exception | None],
) -> None:
    photos, concepts = [photo_of(grey) for grey, _ in album], [wanted for _, wanted in album]
    calm, _, _ = scripted(seen, Budget(1, 1))
    harried, eyes, _ = scripted(seen, Budget(8, 8, padding), room=room, failures=failures)
    answers = None
    for _ in range(1 + sum(failure is not None for failure in failures)):
        # Only a call of one entry that failed by the list exhausts the device: two always fit.
        with contextlib.suppress(DeviceExhausted):
            answers = harried.segment(photos, concepts)
            break
    assert answers is not None
    assert told(answers) == told(calm.segment(photos, concepts))
    assert eyes.alive == 0


def test_the_batch_goes_on_from_where_memory_ended() -> None:
    engine, eyes, _ = scripted({}, Budget(1, 4), failures=[None, None, OOM])
    engine.segment([photo_of(1)], [[concept(f"thing {n}") for n in range(8)]])
    assert [len(pairs) for pairs in eyes.decoded] == [4, 4, 2, 2]
    assert eyes.encoded == [[1]]


def test_fewer_photos_at_once_make_room_for_their_pairs() -> None:
    """Eight photos leave no room for a pair; what was answered before is not asked again."""
    engine, eyes, _ = scripted({}, Budget(8, 8), room=8)
    answers = engine.segment([photo_of(n) for n in range(8)], [[WALL]] * 8)
    assert [len(row) for row in answers] == [1] * 8
    assert [len(photos) for photos in eyes.encoded] == [8, 4, 4]
    assert [len(pairs) for pairs in eyes.decoded] == [8, 4, 2, 1, 4, 4]
    assert engine.photos_at_once == 4


def test_a_device_without_room_is_exhausted_until_there_is_some() -> None:
    engine, eyes, _ = scripted({(1, "wall"): 0.9}, room=1)
    with pytest.raises(DeviceExhausted, match=r"one of the photos: .* one of the pairs: CUDA out"):
        engine.segment([photo_of(1), photo_of(2)], [[WALL], [WALL]])
    eyes.room = 2
    assert engine.segment([photo_of(1)], [[WALL]])[0][0].found


@pytest.mark.parametrize("failures", [[LOST], [None, LOST], [None, OOM, LOST]])
def test_a_lost_device_stays_lost(failures: list[Exception | None]) -> None:
    engine, eyes, _ = scripted({}, failures=failures)
    with pytest.raises(DeviceLost, match="cpu is lost: CUDA error: an illegal memory access") as e:
        engine.segment([photo_of(1), photo_of(2)], [[WALL], [WALL]])
    assert isinstance(e.value.__cause__, torch.AcceleratorError)
    assert eyes.alive == 0
    calls = eyes.calls
    with pytest.raises(DeviceLost):
        engine.segment([photo_of(1)], [[WALL]])
    assert eyes.calls == calls


def test_other_errors_pass_and_the_engine_goes_on() -> None:
    shapes = RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")
    engine, eyes, _ = scripted({(1, "wall"): 0.9}, failures=[None, shapes])
    with pytest.raises(RuntimeError, match="size of tensor") as caught:
        engine.segment([photo_of(1)], [[WALL]])
    assert type(caught.value) is RuntimeError
    assert eyes.alive == 0
    assert engine.segment([photo_of(1)], [[WALL]])[0][0].found
    assert eyes.alive == 0


def test_two_threads_at_once_are_refused() -> None:
    phrases = ScriptedPhrases()
    eyes = ScriptedEyes(phrases, {})
    begun, go_on = threading.Event(), threading.Event()

    def slow(photos: torch.Tensor) -> Features:
        begun.set()
        assert go_on.wait(10)
        return eyes.encode(photos)

    engine = Sam3Segmenter(eyes, phrases, Budget(1, 1), encode=slow)
    other = threading.Thread(target=engine.segment, args=([photo_of(1)], [[WALL]]))
    other.start()
    assert begun.wait(10)
    with pytest.raises(RuntimeError, match="two threads at once"):
        engine.segment([photo_of(2)], [[WALL]])
    go_on.set()
    other.join(10)
    assert len(engine.segment([photo_of(2)], [[WALL]])) == 1


def test_results_may_be_overwritten_by_the_next_call() -> None:
    """As those of captured graphs are."""
    phrases = ScriptedPhrases()
    eyes = ScriptedEyes(phrases, {(1, "door"): 0.9, (2, "gate"): 0.8})
    features: list[torch.Tensor] = []
    found: list[torch.Tensor] = []

    def encode(photos: torch.Tensor) -> Features:
        overwrite(features)
        features[:] = out = eyes.encode(photos)
        return out

    def decode(of: Features, *pairs: torch.Tensor) -> Found:
        overwrite(found)
        found[:] = out = eyes.decode(of, *pairs)
        return out

    engine = Sam3Segmenter(eyes, phrases, Budget(1, 1), encode=encode, decode=decode)
    answers = engine.segment([photo_of(1), photo_of(2)], [[DOOR], [DOOR]])
    assert told(answers) == [[("Door", "door", True, 0.9)], [("Door", "gate", True, 0.8)]]
    assert answers[0][0].logits.max() == pytest.approx(5)


def overwrite(tensors: Sequence[torch.Tensor]) -> None:
    for tensor in tensors:
        tensor.zero_()


# The real detector

POOL = 5
SURE = [
    Concept("Wall", "Wall", "벽", ("wall", "interior wall"), Kind.SURFACE, threshold=0.6),
    Concept("Floor", "Floor", "바닥", ("floor",), Kind.SURFACE, threshold=0.9),
    Concept("Door", "Door", "문", ("door", "wooden door"), threshold=0.8),
    Concept("Handle", "Handle", "손잡이", ("the handle of a cabinet or of a drawer",)),
    Concept("Moon", "Moon", "달", ("moon", "full moon", "half moon"), threshold=1.0),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("sam3")
    return open_folder(write_checkpoint(folder, tiny_model(sure=True)))


@pytest.fixture(scope="module")
def parts(checkpoint: Checkpoint) -> tuple[Detector, PhraseBook]:
    cpu = torch.device("cpu")
    model = load_model(checkpoint, cpu, torch.float32, with_text=False)
    return Detector(model), PhraseBook(checkpoint, cpu, torch.float32)


@pytest.fixture(scope="module")
def photos() -> list[Pixels]:
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(POOL)]


@pytest.fixture(scope="module")
def alone(
    parts: tuple[Detector, PhraseBook], photos: list[Pixels]
) -> dict[tuple[int, str], Segmentation]:
    """Every concept in every photo, asked one by one."""
    engine = Sam3Segmenter(*parts, Budget(1, 1))
    return {
        (n, wanted.id): engine.segment([photo], [[wanted]])[0][0]
        for n, photo in enumerate(photos)
        for wanted in SURE
    }


def test_the_tiny_checkpoint_finds_some_and_misses_some(
    alone: dict[tuple[int, str], Segmentation],
) -> None:
    """Or the property below would hold for nothing."""
    counts = {len(answer.instances) for answer in alone.values()}
    assert {0, 1} < counts
    assert len({answer.source for answer in alone.values()}) == 2
    assert {answer.phrase for answer in alone.values()} >= {"wall", "half moon"}


@settings(max_examples=20, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, POOL - 1), st.lists(st.sampled_from(SURE), max_size=5)),
        max_size=6,
    ),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 8, 16]),
    st.sampled_from([0.0, 0.25, 0.5]),
)
def test_the_others_in_a_batch_change_nothing(
    parts: tuple[Detector, PhraseBook],
    photos: list[Pixels],
    alone: dict[tuple[int, str], Segmentation],
    album: list[tuple[int, list[Concept]]],
    most_photos: int,
    most_pairs: int,
    padding: float,
) -> None:
    engine = Sam3Segmenter(*parts, Budget(most_photos, most_pairs, padding))
    answers = engine.segment([photos[n] for n, _ in album], [wanted for _, wanted in album])
    assert [[a.concept for a in row] for row in answers] == [[c.id for c in w] for _, w in album]
    for (n, _), row in zip(album, answers, strict=True):
        for answer in row:
            assert_same(answer, alone[n, answer.concept])


def assert_same(one: Segmentation, other: Segmentation) -> None:
    assert (one.phrase, one.source, one.capped) == (other.phrase, other.source, other.capped)
    assert one.presence == pytest.approx(other.presence, abs=1e-5)
    assert_close(one.logits, other.logits)
    for a, b in zip(one.instances, other.instances, strict=True):
        assert a.score == pytest.approx(b.score, abs=1e-5)
        assert a.box == pytest.approx(b.box, abs=1e-5)
        assert_close(a.logits, b.logits)


def assert_close(one: NDArray[np.floating], other: NDArray[np.floating]) -> None:
    """Within 1e-5, and the step of float16 that this may round over: masks come in it."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    assert (np.abs(one - other) <= 1e-5 + np.abs(other) * 2**-10).all()


def test_a_checkpoint_becomes_an_engine(
    checkpoint: Checkpoint, photos: list[Pixels], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        engine: Segmenter = open_engine(checkpoint, device="cpu", compile_layers=False)
    lines = [r.getMessage() for r in caplog.records if r.name.endswith("sam3.engine")]
    assert len(lines) == 1
    for part in ("cpu (", "float32", str(checkpoint.path), checkpoint.fingerprint, "pairs 4"):
        assert part in lines[0]
    assert (engine.name, engine.photos_at_once) == ("sam3", 1)
    assert engine.prepare(np.zeros((1, 300, 3), np.uint8)).shape == (112, 112, 3)
    answers = engine.segment(photos[:1], [SURE])[0]
    assert [answer.concept for answer in answers] == [wanted.id for wanted in SURE]
    assert answers[0].found


def test_too_little_memory_stops_the_start(checkpoint: Checkpoint) -> None:
    with pytest.raises(MemoryShort, match="too little memory for SAM3"):
        open_engine(checkpoint, device="cpu", free_bytes=lambda _: 100_000)


@pytest.mark.parametrize(
    ("news", "refusal"), [(OOM, DeviceExhausted), (LOST, DeviceLost), (KeyError("k"), KeyError)]
)
def test_a_device_that_fails_at_the_start_is_told_as_later(
    checkpoint: Checkpoint, news: Exception, refusal: type[Exception]
) -> None:
    def fail(_: torch.device) -> int:
        raise news

    with pytest.raises(refusal):
        open_engine(checkpoint, device="cpu", free_bytes=fail)


def test_a_device_that_is_not_there_is_named(checkpoint: Checkpoint) -> None:
    with pytest.raises(DeviceMissing, match="auto, cuda or cpu"):
        open_engine(checkpoint, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceMissing, match="no CUDA device"):
            open_engine(checkpoint, device="cuda")
