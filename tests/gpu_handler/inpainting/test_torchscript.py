"""A TorchScript file as LaMa is exported: what it is given, and how it is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gpu_handler.inpainting.base import InpainterError
from gpu_handler.inpainting.torchscript import TorchScriptInpainter


class Mean(nn.Module):
    """Fills the hole with the mean of what is outside."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        if image.shape[2] % 8 != 0 or image.shape[3] % 8 != 0:
            raise RuntimeError("sides must be multiples of 8")
        outside = 1 - mask
        mean = (image * outside).sum((2, 3), keepdim=True) / outside.sum().clamp(min=1)
        return image * outside + mean * mask


class Smaller(nn.Module):
    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return image[:, :, ::2] * mask[:, :, ::2]


def saved(module: nn.Module, path: Path) -> Path:
    torch.jit.script(module).save(str(path))
    return path


pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def test_a_hole_is_filled_whatever_the_sides(tmp_path: Path) -> None:
    inpainter = TorchScriptInpainter(saved(Mean(), tmp_path / "mean.pt"), "cpu")
    pixels = np.full((37, 50, 3), (10, 200, 90), np.uint8)
    hole = np.zeros((37, 50), np.bool_)
    hole[10:20, 30:] = True
    pixels[hole] = 255
    filled = inpainter.fill(pixels, hole)
    assert filled.shape == pixels.shape
    assert np.abs(filled[hole].astype(int) - (10, 200, 90)).max() <= 1
    assert np.array_equal(filled[~hole], pixels[~hole])


def test_files_that_are_none_are_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("not weights")
    for name in ("missing.pt", "text.pt"):
        with pytest.raises(InpainterError, match=name) as refusal:
            TorchScriptInpainter(tmp_path / name, "cpu")
        assert "\n" not in str(refusal.value)


def test_a_module_that_answers_another_size_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(InpainterError, match="answered"):
        TorchScriptInpainter(saved(Smaller(), tmp_path / "smaller.pt"), "cpu")
