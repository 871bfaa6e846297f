"""The device measured on: its clock, its memory, and its two ceilings."""

import ctypes
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from msgspec import Struct

MEGABYTE = 1 << 20


class Peak(NamedTuple):
    """Bytes in use before a call, and the most in use during it."""

    rest: int
    most: int


class Ceilings(Struct, frozen=True):
    """What this device reached just now: operations per second by dtype, bytes moved per second."""

    flops: dict[str, float]
    bandwidth: float


class Device:
    """A CPU or a CUDA device, under the names torch gives them.

    On a single thread of a CPU, time is that which the process had the core: other work on the
    machine then makes little difference. Everywhere else it is the clock on the wall.
    """

    def __init__(self, kind: str, threads: int | None = None) -> None:
        self.torch = torch.device(kind)
        self.cuda = self.torch.type == "cuda"
        if threads:
            torch.set_num_threads(threads)
        alone = not self.cuda and torch.get_num_threads() == 1
        self.clock = time.process_time if alone else time.perf_counter

    @property
    def name(self) -> str:
        if self.cuda:
            return torch.cuda.get_device_name(self.torch)
        return f"{_cpu_model()}, torch threads: {torch.get_num_threads()}"

    def synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.torch)

    def seconds(self, call: Callable[[], object], times: int = 1) -> float:
        """Seconds per call, of `times` calls in a row: from an idle device to an idle device."""
        self.synchronize()
        started = self.clock()
        for _ in range(times):
            call()
        self.synchronize()
        return (self.clock() - started) / times

    def peak(self, call: Callable[[], object]) -> Peak:
        """Memory during one call: of torch's allocator on CUDA, of the whole process on a CPU."""
        if self.cuda:
            self.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.torch)
            rest = torch.cuda.memory_allocated(self.torch)
            call()
            self.synchronize()
            return Peak(rest, torch.cuda.max_memory_allocated(self.torch))
        _settle_memory()
        rest = _status("VmRSS")
        call()
        return Peak(rest, max(rest, _status("VmHWM")))


def describe(device: Device) -> dict[str, str]:
    """What belongs beside every figure."""
    lines = {
        "device": device.name,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
        "clock": "of the process" if device.clock is time.process_time else "on the wall",
        "load average": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
    }
    if device.cuda:
        free, total = torch.cuda.mem_get_info(device.torch)
        lines["memory"] = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        lines["driver"] = _driver()
    return lines


def measure_ceilings(device: Device, rounds: int) -> Ceilings:
    """The best of a few large matrix products per dtype, on random numbers, and of a large copy."""
    rates: dict[str, float] = {}
    for dtype, side in _matrix_sides(device).items():
        left, right = (torch.randn(side, side, device=device.torch).to(dtype) for _ in range(2))
        out = torch.empty_like(left)
        best = _best(device, lambda a=left, b=right, c=out: torch.mm(a, b, out=c), rounds)
        rates[dtype_name(dtype)] = 2 * side**3 / best
    source = torch.rand((1024 if device.cuda else 64) * MEGABYTE, device=device.torch)
    target = torch.empty_like(source)
    best = _best(device, lambda: target.copy_(source), rounds)
    return Ceilings(rates, 2 * source.numel() * source.element_size() / best)


def dtype_name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]


def _matrix_sides(device: Device) -> dict[torch.dtype, int]:
    side = 8192 if device.cuda else 2048
    return {torch.float32: side, torch.bfloat16: side}


def _best(device: Device, call: Callable[[], object], rounds: int) -> float:
    times = 5 if device.cuda else 1
    device.seconds(call, times)
    return min(device.seconds(call, times) for _ in range(rounds))


def _settle_memory() -> None:
    """Give what is free back to the system, and start the high-water mark anew."""
    if hasattr(trim := ctypes.CDLL(None), "malloc_trim"):
        trim.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _driver() -> str:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="ascii")
    except OSError:
        return f"CUDA {torch.version.cuda}"
    versions = [word for word in text.split() if word.count(".") == 2 and word[0].isdigit()]
    return f"{versions[0] if versions else 'unknown'}, CUDA {torch.version.cuda}"


def random_pictures(count: int, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(count, side, side, 3) uint8: nothing about the speed depends on what is in them."""
    return np.random.default_rng(2).integers(0, 256, (count, side, side, 3), np.uint8)
