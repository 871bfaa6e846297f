"""Which calls are recorded, and that a replay gets the call's own arguments; no GPU needed."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from gpu_handler.segment.sam3.network.graphs import Recorded, Replay, Tree


class Pair(NamedTuple):
    one: Tensor
    two: Tensor


class Sum(NamedTuple):
    value: Tensor


def add(pair: Pair, factor: Tensor) -> Sum:
    return Sum((pair.one + pair.two) * factor)


class Recorder:
    """Counts recordings; a replay runs the call again on what it is given."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure, self.recorded, self.replayed = failure, 0, 0

    def __call__(self, call: Callable[..., Sum], arguments: tuple[Tree, ...]) -> Replay[Sum]:
        self.recorded += 1
        if self.failure is not None:
            raise self.failure

        def replay(given: tuple[Tree, ...]) -> Sum:
            self.replayed += 1
            return call(*given)

        return replay


def ask(
    recorded: Recorded[Sum], rows: int, value: float = 1.0, dtype: torch.dtype | None = None
) -> Tensor:
    ones = torch.full((rows,), value, dtype=dtype)
    return recorded(Pair(ones, 2 * ones), ones).value


def at_most_two(pair: Pair, factor: Tensor) -> bool:
    return len(factor) <= 2


def test_each_small_shape_is_recorded_once_and_replayed_with_new_values() -> None:
    recorder = Recorder()
    recorded = Recorded(add, at_most_two, recorder)
    assert ask(recorded, 1).tolist() == [3]
    assert ask(recorded, 1, 2.0).tolist() == [12]
    assert ask(recorded, 2, 2.0).tolist() == [12, 12]
    assert (recorder.recorded, recorder.replayed) == (2, 3)
    ask(recorded, 2, dtype=torch.float64)
    assert recorder.recorded == 3


def test_large_batches_are_called() -> None:
    recorder = Recorder()
    assert ask(Recorded(add, at_most_two, recorder), 5).tolist() == [3] * 5
    assert recorder.recorded == 0


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: operation not permitted when stream is capturing\n..."),
    ],
    ids=["memory", "capture"],
)
def test_a_shape_whose_recording_fails_is_called_for_good(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(failure)
    recorded = Recorded(add, at_most_two, recorder)
    assert ask(recorded, 1).tolist() == ask(recorded, 1).tolist() == [3]
    assert (recorder.recorded, recorder.replayed) == (1, 0)
    assert [str(failure).split("\n")[0] in line for line in caplog.messages] == [True]


def test_a_mistake_of_ours_is_not_hidden() -> None:
    recorded = Recorded(add, at_most_two, Recorder(TypeError("missing argument")))
    with pytest.raises(TypeError):
        ask(recorded, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_answers_as_the_call_does() -> None:
    recorded = Recorded(add, at_most_two)
    with torch.inference_mode(), torch.device("cuda"):
        for value in (1.0, 2.0, 3.0):
            assert ask(recorded, 2, value).tolist() == [3 * value**2] * 2
