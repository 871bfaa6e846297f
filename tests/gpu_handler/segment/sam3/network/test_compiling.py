"""Layers compile in the background and give the same answers; graphs leave others alone."""

import logging
import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from gpu_handler.segment.sam3.network.compiling import Compilation
from gpu_handler.segment.sam3.network.detector import Detector, Found
from tests.checkpoints import tiny_config, tiny_model

WORDS = 16
SIDE = 56


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    yield
    torch.compiler.set_stance("default")
    torch.compiler.reset()


def make_detector(seed: int = 0) -> Detector:
    return Detector(tiny_model(tiny_config(SIDE), seed=seed))


def decode(detector: Detector, photos: int, pairs: list[tuple[int, int]]) -> Found:
    generator = torch.Generator().manual_seed(photos)
    shape = (photos, SIDE, SIDE, 3)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    text = torch.randn(2, WORDS, 32, generator=generator)
    mask = torch.ones(2, WORDS, dtype=torch.bool)
    mask[1, 5:] = False
    photo_of, text_of = (torch.tensor(column) for column in zip(*pairs, strict=True))
    with torch.inference_mode():
        return detector.decode(detector.encode(pictures), text, mask, photo_of, text_of)


def difference(one: Found, other: Found) -> float:
    pairs: list[tuple[Tensor, Tensor]] = list(zip(one, other, strict=True))
    return max(float((a - b).abs().max()) for a, b in pairs)


SHAPES = [
    (1, [(0, 0)]),
    (1, [(0, 1), (0, 0)]),
    (2, [(1, 1)]),
    (4, [(3, 0), (0, 1), (2, 1), (1, 0), (0, 0)]),
]


def check_compiled(backend: str) -> None:
    detector = make_detector()
    before = [decode(detector, *shape) for shape in SHAPES]
    compilation = Compilation(detector, words=WORDS, backend=backend)
    compilation.run()
    assert compilation.ready, compilation.failure
    torch.compiler.set_stance("fail_on_recompile")
    for shape, expected in zip(SHAPES, before, strict=True):
        assert difference(decode(detector, *shape), expected) < 1e-4


@pytest.mark.slow
def test_compiled_layers_answer_the_same_for_every_batch_without_compiling_again() -> None:
    check_compiled("eager")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of torch.jit
def test_inductor_answers_the_same() -> None:
    check_compiled("inductor")


@pytest.mark.slow
def test_photos_are_served_while_layers_compile() -> None:
    detector, gate, seen = make_detector(), threading.Event(), threading.Event()
    expected = decode(detector, *SHAPES[3])

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        seen.set()
        assert gate.wait(30)
        return graph

    compilation = Compilation(detector, words=WORDS, backend=backend)
    compilation.start()
    try:
        assert seen.wait(30)
        assert difference(decode(detector, *SHAPES[3]), expected) == 0
        assert not compilation.ready
    finally:
        gate.set()
    assert compilation.wait(60)
    assert compilation.ready, compilation.failure


def test_a_compiler_that_fails_leaves_everything_eager(caplog: pytest.LogCaptureFixture) -> None:
    detector = make_detector()
    expected = decode(detector, *SHAPES[1])

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        raise OSError("no C compiler")

    compilation = Compilation(detector, words=WORDS, backend=backend)
    with caplog.at_level(logging.WARNING):
        compilation.run()
    assert not compilation.ready
    assert compilation.failure is not None
    assert "stays eager" in caplog.text
    assert difference(decode(detector, *SHAPES[1]), expected) == 0


@pytest.mark.slow
def test_a_second_detector_of_a_process_is_compiled_as_well() -> None:
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    Compilation(make_detector(), words=WORDS, backend="eager").run()
    other = Detector(tiny_model(tiny_config(2 * SIDE)))
    compilation = Compilation(other, words=WORDS, backend=backend)
    compilation.run()
    assert compilation.ready
    assert graphs


def test_all_layers_of_a_kind_are_worth_compiling() -> None:
    """Each of the stacks in full, so that no layer is left slow by mistake."""
    names = [f"{type(module).__name__}.{name}" for module, name in make_detector().layers()]
    assert names == [
        "Block.forward",
        "Block.forward",
        "FusionLayer.look",
        "FusionLayer.read",
        "FusionLayer.forward",
        "QueryLayer.forward",
        "QueryLayer.forward",
        "MaskHead.forward",
    ]


def test_a_process_that_ends_waits_for_one_layer_at_most() -> None:
    detector, begun = make_detector(), threading.Event()
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        begun.set()
        assert abandoned.wait(30)
        return graph

    abandoned = threading.Event()
    compilation = Compilation(detector, words=WORDS, backend=backend)
    compilation.start()
    assert begun.wait(30)
    threading.Timer(0.2, abandoned.set).start()
    compilation.abandon()
    assert compilation.wait(0)
    assert not compilation.ready
    assert len(graphs) == 1
