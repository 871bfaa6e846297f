"""An inpainter in a TorchScript file, as LaMa is exported.

R. Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions", 2022. Its
exports take the picture (1, 3, H, W) and the mask (1, 1, H, W), both float32 in 0..1, with sides
that 8 divides, and answer with the picture.
"""

import threading
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_handler.devices.torch_faults import device_error, told
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.inpainting.base import InpainterError

_STEP = 8
_TRIAL = 64  # side of the picture that a file is tried on


class TorchScriptInpainter:
    """Loaded once; photos take turns. Raises InpainterError where the file cannot be used."""

    longest_side = 512

    def __init__(self, path: Path, device: str) -> None:
        self._device = torch.device(device)
        self._turn = threading.Lock()
        try:
            self._model = torch.jit.load(str(path), map_location=self._device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise InpainterError(f"{path} cannot be loaded: {told(error)}") from error
        trial = np.full((_TRIAL, _TRIAL, 3), 128, np.uint8)
        self.fill(trial, np.eye(_TRIAL, dtype=np.bool_))

    def fill(self, pixels: Pixels, hole: NDArray[np.bool_]) -> Pixels:
        height, width = hole.shape
        pad = ((0, -height % _STEP), (0, -width % _STEP))
        picture = np.pad(pixels, (*pad, (0, 0)), mode="symmetric").transpose(2, 0, 1)
        mask = np.pad(hole, pad, mode="symmetric")
        answer = self._answer(np.divide(picture, 255, dtype=np.float32), mask.astype(np.float32))
        if answer.shape != picture.shape or not np.isfinite(answer).all():
            raise InpainterError(f"the inpainter answered {answer.shape} for {picture.shape}")
        filled = np.rint(np.clip(answer, 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(filled.transpose(1, 2, 0)[:height, :width])

    def _answer(
        self, picture: NDArray[np.float32], mask: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(3, H, W) for (3, H, W) and (H, W), all 0..1."""
        try:
            with self._turn, torch.inference_mode():
                image = torch.from_numpy(picture).to(self._device)[None]
                holes = torch.from_numpy(mask).to(self._device)[None, None]
                answer = self._model(image, holes)
                return np.asarray(answer[0].float().cpu().numpy(), np.float32)
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            if fault := device_error(error, self._device):
                raise fault from error
            raise InpainterError(f"the inpainter failed: {told(error)}") from error
