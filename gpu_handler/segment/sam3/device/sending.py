"""From the host to the device, without waiting for what the device is still busy with."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gpu_handler.imaging.pixels import Pixels


def send_photos(photos: Sequence[Pixels], device: torch.device) -> Tensor:
    """(N, S, S, 3) uint8 from N photos of (S, S, 3)."""
    host = torch.empty(
        (len(photos), *photos[0].shape), dtype=torch.uint8, pin_memory=_pinned(device)
    )
    for place, photo in zip(host.numpy(), photos, strict=True):
        np.copyto(place, photo)
    return host.to(device, non_blocking=True)


def send_rows(*rows: Sequence[int], device: torch.device) -> Tensor:
    """(len(rows), P) int64 from rows of P numbers."""
    host = torch.tensor(rows, dtype=torch.int64, pin_memory=_pinned(device))
    return host.to(device, non_blocking=True)


def _pinned(device: torch.device) -> bool:
    # A copy from ordinary memory makes the host wait. Torch keeps what it pinned and uses it again,
    # not before the copy is done.
    return device.type == "cuda"
