"""What an exception of torch says about the device: out of memory, lost, or neither.

torch has a class for memory and, since 2.8, one for everything that the device reports, but the
libraries under it still raise RuntimeErrors that only their text tells apart.
"""

import re
import traceback
from collections.abc import Iterator
from enum import StrEnum, auto

import torch

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost


class Fault(StrEnum):
    MEMORY = auto()  # a smaller batch may do
    LOST = auto()  # the context is broken: every later call would fail too


# CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, ...
_LIBRARY_STATUS = re.compile(r"\bCU[A-Z]+_STATUS_([A-Z_]+)")
_STATUS_MEMORY = re.compile(r"ALLOC(ATION)?_FAILED|OUT_OF_MEMORY")
_STATUS_LOST = re.compile(r"EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR|NOT_INITIALIZED")

_MEMORY = re.compile(
    r"out of memory"  # of the allocator, the runtime, the driver, Triton
    r"|DefaultCPUAllocator: (can't allocate|not enough) memory"
    r"|std::bad_alloc"
    # cuDNN's search tries each plan and swallows that none found room for its workspace. A device
    # that has no plan at all fails in the warm-up already.
    r"|was unable to find an engine to execute this computation",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"CUDA (driver )?error:|Triton Error \[CUDA\]|CUDA unknown error|No CUDA GPUs are available"
    r"|illegal memory access|device-side assert|unspecified launch failure"
    r"|uncorrectable ECC|device (is )?lost|fallen off the bus|\bNVRM\b|\bXid\b",
    re.IGNORECASE,
)


def fault_of(error: BaseException) -> Fault | None:
    """Memory, lost, or None for an error of any other kind, such as shapes that do not fit.

    What an error was raised from counts as well: compilers wrap what the device says.
    """
    for link in _causes(error):
        if fault := _fault(link):
            return fault
    return None


def device_error(error: BaseException, device: torch.device) -> DeviceExhausted | DeviceLost | None:
    """What there is for a device that failed so; None for any other error."""
    match fault_of(error):
        case Fault.LOST:
            return DeviceLost(f"the device {device} is lost: {told(error)}")
        case Fault.MEMORY:
            return DeviceExhausted(f"out of memory on {device}: {told(error)}")
        case None:
            return None


def told(error: BaseException) -> str:
    """What the error says, in a line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def release_frames(error: BaseException) -> None:
    """Let go of the local variables, tensors among them, that the tracebacks of `error` keep.

    Frames that still run keep theirs.
    """
    for link in _causes(error, context=True):
        traceback.clear_frames(link.__traceback__)


def _fault(error: BaseException) -> Fault | None:
    if isinstance(error, torch.OutOfMemoryError | MemoryError | DeviceExhausted):
        return Fault.MEMORY
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if status := _LIBRARY_STATUS.search(text):
        return _status_fault(status.group(1))
    if _MEMORY.search(text):
        return Fault.MEMORY
    if isinstance(error, torch.AcceleratorError) or _LOST.search(text):
        return Fault.LOST
    return None


def _status_fault(status: str) -> Fault | None:
    # NOT_SUPPORTED and INVALID_VALUE blame the arguments: the device is well.
    if _STATUS_MEMORY.search(status):
        return Fault.MEMORY
    return Fault.LOST if _STATUS_LOST.search(status) else None


def _causes(error: BaseException, *, context: bool = False) -> Iterator[BaseException]:
    """`error` and what it was raised from; with `context`, also what was being handled then."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (link.__context__ if context else None)
