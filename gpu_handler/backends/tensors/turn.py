"""A stretch of work on the device: its stream, without gradients, its failures by their names."""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpu_handler.devices.torch_faults import device_error


class Turn:
    """One thread's way to the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            with self.work():
                self._stream = torch.cuda.Stream(device)

    @contextmanager
    def work(self) -> Generator[None]:
        """Raises DeviceExhausted and DeviceLost for what torch raises of that kind."""
        try:
            with torch.inference_mode(), torch.cuda.stream(self._stream):
                yield
        except Exception as error:
            if fault := device_error(error, self.device):
                raise fault from error
            raise

    def send(self, values: NDArray[np.generic]) -> Tensor:
        """A copy on the device; the host does not wait for what the device is busy with."""
        if self._stream is None:
            return torch.from_numpy(np.array(values))
        kind = torch.from_numpy(np.empty(0, values.dtype)).dtype
        host = torch.empty(values.shape, dtype=kind, pin_memory=True)
        np.copyto(host.numpy(), values)
        return host.to(self.device, non_blocking=True)

    def fetch(self, values: Tensor) -> NDArray[np.uint8]:
        """An array of this process's own; waits for the device."""
        return values.cpu().numpy() if values.is_cuda else np.array(values.numpy())
