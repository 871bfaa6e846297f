"""What only tensors can get wrong: parts of a picture at once, and what they hold meanwhile."""

import threading

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_handler.backends.base import Plane, TextureBrush
from gpu_handler.backends.tensors import TensorBackend
from gpu_handler.backends.tensors.stretching import STRIP, strips
from tests.gpu_handler.backends.reference import ReferenceBackend
from tests.gpu_handler.backends.scenes import cover, photo, tables, tile

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("covered", ["all", "above and below"])
def test_a_horizon_within_the_picture_is_the_tiles_mean(device: str, covered: str) -> None:
    """Strips take in pixels that the cover leaves out: those must not stop the others."""
    shape, horizon = (60, 50), 20
    texels = np.array(((30.0, 0.0, -700.0), (0.0, 0.0, 500.0), (0.0, 1.0, -horizon)))
    brush = TextureBrush(tile(64), (Plane(texels),), np.ones((1, 1, 3), np.float32), 254.0)
    alpha = np.full(shape, 255, np.uint8)
    if covered == "above and below":
        alpha[horizon] = 0
    pictures: list[NDArray[np.int64]] = []
    for backend in (TensorBackend(device), ReferenceBackend()):
        canvas = backend.open(photo(shape))
        canvas.paint(canvas.stretch(alpha), brush)
        pictures.append(canvas.picture().astype(np.int64))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    expected = brush.levels[-1][0, 0] if covered == "all" else photo(shape)[horizon]
    assert (pictures[0][horizon] == expected).all()


@pytest.mark.parametrize("device", DEVICES)
def test_strips_meet_without_seams(device: str) -> None:
    shape = (3, STRIP // 2 + 7)  # two strips of two rows and of one
    brush, alpha = tables(shape)["table, softened"], cover((9, 1000))
    pictures: list[NDArray[np.int64]] = []
    for backend in (TensorBackend(device), ReferenceBackend()):
        canvas = backend.open(photo(shape))
        canvas.paint(canvas.stretch(alpha), brush)
        pictures.append(canvas.picture().astype(np.int64))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.parametrize("columns", [1, 7, STRIP - 1, STRIP + 1])
def test_strips_cover_every_row_once(columns: int) -> None:
    rows = [row for part, _ in strips((slice(3, 40), slice(0, columns))) for row in _rows(part)]
    assert rows == list(range(3, 40))


def test_a_thread_keeps_its_way_to_the_device() -> None:
    backend = TensorBackend("cpu")
    turns: list[object] = []

    def work() -> None:
        canvases = (backend.open(photo((4, 4))) for _ in range(2))
        turns.extend(vars(canvas)["_turn"] for canvas in canvases)

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert turns[0] is turns[1]
    assert turns[2] is turns[3]
    assert turns[0] is not turns[2]


def _rows(part: slice) -> range:
    return range(part.start, part.stop)
