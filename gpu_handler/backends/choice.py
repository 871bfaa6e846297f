"""Which backends a worker paints with."""

import sys
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Protocol, cast

from gpu_handler.backends.base import PixelBackend
from gpu_handler.backends.cpu import CpuBackend


class BackendChoice(StrEnum):
    """`auto` takes the GPU that the segmenter is on; the other two are meant literally."""

    AUTO = "auto"
    CPU = "cpu"
    TORCH = "torch"


class TorchMissing(RuntimeError):
    """torch was asked for and is not installed."""


class _Tensors(Protocol):
    TensorBackend: Callable[[str], PixelBackend]


def choose_backends(choice: BackendChoice) -> tuple[PixelBackend, ...]:
    """The one to use, then the one for photos that it has no room for.

    Raises TorchMissing.
    """
    cpu = CpuBackend()
    if choice is BackendChoice.CPU or (choice is BackendChoice.AUTO and not gpu_in_use()):
        return (cpu,)
    try:
        tensors = cast(_Tensors, import_module("gpu_handler.backends.tensors"))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise TorchMissing("torch is not installed") from error
    return (tensors.TensorBackend("cuda" if gpu_in_use() else "cpu"), cpu)


def gpu_in_use() -> bool:
    """Whether torch is loaded already and has a GPU."""
    # Whoever segments with torch has imported it by now; importing it only to find no GPU would
    # cost every other worker seconds.
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())
