"""Which backends a worker paints with, and what becomes of a photo that one has no room for."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from gpu_handler.backends.base import Canvas, PixelBackend
from gpu_handler.backends.choice import BackendChoice, choose_backends, gpu_in_use
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.backends.tensors.turn import Turn
from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.pipeline.brushwork import Brushwork

PHOTO = np.full((20, 30, 3), 90, np.uint8)


def names(choice: BackendChoice) -> list[str]:
    return [backend.name for backend in choose_backends(choice)]


def test_what_is_asked_for_is_taken_and_the_cpu_stands_by() -> None:
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    assert names(BackendChoice.CPU) == ["cpu"]
    assert names(BackendChoice.TORCH) == [f"torch-{kind}", "cpu"]
    expected = ["torch-cuda", "cpu"] if gpu_in_use() else ["cpu"]
    assert names(BackendChoice.AUTO) == expected


class Full:
    """A device without memory: it says so when a photo is opened, or in the middle of the work."""

    name = "full"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def open(self, photo: Pixels) -> Canvas:
        raise self.error


def test_a_photo_without_room_on_the_device_is_done_on_the_cpu() -> None:
    opened: list[str] = []

    def work(canvas: Canvas) -> str:
        opened.append(type(canvas).__name__)
        if len(opened) == 1:
            raise DeviceExhausted("no room half way")
        return "done"

    half_way = Brushwork([CpuBackend(), CpuBackend()])
    assert half_way.run(PHOTO, work) == "done"
    assert opened == ["CpuCanvas", "CpuCanvas"]
    at_once = Brushwork([Full(DeviceExhausted("no room")), CpuBackend()])
    assert at_once.run(PHOTO, lambda canvas: canvas.shape) == (20, 30)


@pytest.mark.parametrize("error", [DeviceLost("gone"), ValueError("a mistake")])
def test_other_failures_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        Brushwork([Full(error), CpuBackend()]).run(PHOTO, lambda canvas: None)


def test_where_no_backend_has_room_it_is_said() -> None:
    backends: list[PixelBackend] = [Full(DeviceExhausted("a")), Full(DeviceExhausted("b"))]
    with pytest.raises(DeviceExhausted, match="b"):
        Brushwork(backends).run(PHOTO, lambda canvas: None)
    with pytest.raises(ValueError):
        Brushwork([])


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), DeviceExhausted),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLost),
        (IndexError("our own mistake"), IndexError),
    ],
)
def test_what_torch_raises_gets_its_name(raised: Exception, told: type[Exception]) -> None:
    with pytest.raises(told), Turn(torch.device("cpu")).work():
        raise raised


def test_a_worker_starts_without_torch_and_without_a_compiler() -> None:
    """Each takes a second or more to load; whoever needs them loads them then."""
    told = "import sys, gpu_handler.handler; print({'torch', 'numba'} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"
