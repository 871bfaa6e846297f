"""Batches of few sizes, and halving where memory ends."""

import gc
import logging
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpu_handler.devices.errors import DeviceExhausted
from gpu_handler.devices.torch_faults import Fault, fault_of
from gpu_handler.segment.sam3.device.batches import GROWS_AFTER, Batch, Limit, fitting, run_halving
from gpu_handler.segment.sam3.weights.refusals import MemoryShort

OOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
CPU_OOM = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)"
)

largest_sizes = st.sampled_from([1, 2, 4, 8, 16, 64])


def nothing() -> None:
    pass


class Room:
    """Takes entries as long as no more than `capacity` come at once."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken: list[int] = []
        self.sizes: list[int] = []

    def step(self, batch: Batch) -> None:
        self.sizes.append(batch.size)
        if batch.size > self.capacity:
            raise OOM
        self.taken += range(batch.start, batch.stop)


@given(st.integers(1, 200), largest_sizes, st.sampled_from([0.0, 0.25, 0.5]))
def test_a_size_is_a_power_of_two_padded_no_more_than_allowed(
    count: int, largest: int, padding: float
) -> None:
    size = fitting(count, largest, padding)
    assert size.bit_count() == 1
    assert size <= largest
    assert max(0, size - count) <= padding * size


@pytest.mark.parametrize(
    ("count", "cpu", "gpu"), [(1, 1, 1), (3, 2, 4), (5, 4, 4), (6, 4, 8), (7, 4, 8), (12, 8, 16)]
)
def test_a_gpu_fills_up_where_a_cpu_splits(count: int, cpu: int, gpu: int) -> None:
    assert (fitting(count, 16), fitting(count, 16, 0.25)) == (cpu, gpu)


def test_padding_repeats_the_last_entry() -> None:
    assert Batch(1, 4, 4).of("abcde") == ["b", "c", "d", "d"]


@given(st.integers(0, 100), largest_sizes, st.sampled_from([1, 2, 3, 5, 64]))
def test_every_entry_is_taken_once_in_order_whatever_fits(
    count: int, largest: int, capacity: int
) -> None:
    room = Room(capacity)
    run_halving(count, Limit("entries", largest, 0.25), room.step, nothing)
    assert room.taken == list(range(count))
    assert sum(size > capacity for size in room.sizes) <= 6  # at most once for each halving


def test_the_limit_stays_lowered_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    room, limit, freed = Room(3), Limit("pairs", 8), []
    with caplog.at_level(logging.INFO):
        run_halving(20, limit, room.step, lambda: freed.append(1))
        run_halving(4, limit, room.step, nothing)
    assert limit.largest == 2
    assert room.sizes == [8, 4] + [2] * 12
    assert len(freed) == len(caplog.records) == 2
    assert "from now on 2 pairs at once" in caplog.text


def test_a_short_batch_that_does_not_fit_lowers_below_itself() -> None:
    limit = Limit("pairs", 64)
    run_halving(4, limit, Room(1).step, nothing)
    assert limit.largest == 1


def test_one_entry_that_does_not_fit_exhausts_the_device() -> None:
    room = Room(0)
    with pytest.raises(DeviceExhausted, match=r"even one of the pairs: CUDA out of memory"):
        run_halving(4, Limit("pairs", 8), room.step, nothing)
    assert room.sizes == [4, 2, 1]


def test_the_limit_grows_back_after_many_full_batches() -> None:
    room, limit = Room(2), Limit("pairs", 4)
    run_halving(4, limit, room.step, nothing)
    room.capacity = 4
    run_halving(2 * (GROWS_AFTER - 3), limit, room.step, nothing)
    assert limit.largest == 2
    run_halving(2, limit, room.step, nothing)
    assert limit.largest == 4


def test_growing_in_vain_doubles_the_wait() -> None:
    room, limit = Room(2), Limit("pairs", 4)
    run_halving(2 * 7 * GROWS_AFTER, limit, room.step, nothing)
    assert room.taken == list(range(2 * 7 * GROWS_AFTER))
    assert room.sizes.count(4) == 1 + 2  # after 1 and after 2 more waits; the next takes 4


def test_batches_that_are_not_full_say_nothing_about_the_limit() -> None:
    limit = Limit("pairs", 4)
    run_halving(4, limit, Room(2).step, nothing)
    for _ in range(GROWS_AFTER):
        run_halving(1, limit, Room(2).step, nothing)
    assert limit.largest == 2


def test_tensors_of_a_failed_try_are_gone_before_memory_is_freed() -> None:
    kept: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def inner() -> None:
        mine = torch.zeros(3)
        kept.append(weakref.ref(mine))
        raise CPU_OOM if len(kept) == 1 else MemoryError

    def step(batch: Batch) -> None:
        if batch.size > 1:
            try:
                inner()
            except RuntimeError as error:
                raise MemoryError from error

    gc.disable()
    try:
        run_halving(4, Limit("pairs", 4), step, lambda: alive.extend(r() is not None for r in kept))
    finally:
        gc.enable()
    assert alive == [False, False, False]


def test_other_errors_pass_and_lower_nothing() -> None:
    limit = Limit("pairs", 8)

    def step(_: Batch) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")

    with pytest.raises(RuntimeError, match="mat1"):
        run_halving(8, limit, step, nothing)
    assert limit.largest == 8


def wrapped(error: Exception) -> Exception:
    outer = RuntimeError("backend='inductor' raised")
    outer.__cause__ = error
    return outer


CUDA = "CUDA error: "


@pytest.mark.parametrize(
    "error",
    [
        OOM,
        CPU_OOM,
        MemoryError(),
        DeviceExhausted("no memory for even one of the pairs"),
        MemoryShort("sam3's text encoder needs 0.7 GB on cuda:0, 0.2 GB are free"),
        torch.AcceleratorError(CUDA + "out of memory\nCUDA kernel errors might be asynchronous"),
        RuntimeError("CUDA driver error: out of memory"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError(CUDA + "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("std::bad_alloc"),
        wrapped(OOM),
    ],
    ids=str,
)
def test_memory_faults(error: Exception) -> None:
    assert fault_of(error) is Fault.MEMORY


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError(CUDA + "an illegal memory access was encountered"),
        torch.AcceleratorError("something that this version of torch words in its own way"),
        RuntimeError(CUDA + "device-side assert triggered"),
        RuntimeError(CUDA + "uncorrectable ECC error encountered"),
        RuntimeError(CUDA + "unspecified launch failure"),
        RuntimeError(CUDA + "CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`"),
        RuntimeError(CUDA + "CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasGemmEx(...)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
        RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("NVRM: Xid 79, GPU has fallen off the bus"),
        wrapped(RuntimeError(CUDA + "device lost")),
    ],
    ids=str,
)
def test_lost_devices(error: Exception) -> None:
    assert fault_of(error) is Fault.LOST


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        RuntimeError(CUDA + "CUBLAS_STATUS_INVALID_VALUE when calling `cublasSgemm(...)`"),
        ValueError("CUDA error: told by something else"),
        KeyError("illegal memory access"),
    ],
    ids=str,
)
def test_errors_that_are_not_the_devices(error: Exception) -> None:
    assert fault_of(error) is None


def test_a_real_allocation_that_cannot_be_is_a_memory_fault() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert fault_of(caught.value) is Fault.MEMORY
