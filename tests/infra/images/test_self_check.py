"""The handler's check of itself: it passes where all is well and sees what is not."""

from collections.abc import Callable

import numpy as np
import pytest

from gpu_handler.backends.base import Canvas, PixelBackend
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.check.__main__ import main
from gpu_handler.check.photo import CheckFailed, prove
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.pipeline.brushwork import Brushwork

SETTINGS = {
    "STORAGE_S3_ENDPOINT": "http://127.0.0.1:9",
    "STORAGE_ACCESS_KEY": "key",
    "STORAGE_SECRET_KEY": "key",
    "STORAGE_BUCKET": "bucket",
    "GPU_CALLBACK_SECRET": "s" * 32,
    "SEGMENTER": "classical",
    "PIXEL_BACKEND": "cpu",
}


class Spoiled:
    """The real backend on a photo that is not quite the one it was given."""

    name = "spoiled"

    def __init__(self, spoil: Callable[[Pixels], Pixels]) -> None:
        self._spoil = spoil

    def open(self, photo: Pixels) -> Canvas:
        return CpuBackend().open(self._spoil(photo.copy()))


def test_what_works_is_proved() -> None:
    proof = prove(Brushwork((CpuBackend(),)))
    assert proof.backend == "cpu"
    assert proof.painted > 0.98


def one_pixel(photo: Pixels) -> Pixels:
    photo[100, 300] ^= 1
    return photo


def test_one_protected_pixel_is_enough_to_fail() -> None:
    backend: PixelBackend = Spoiled(one_pixel)
    with pytest.raises(CheckFailed, match="protected pixel"):
        prove(Brushwork((backend,)))


def test_the_command_says_in_a_line_what_it_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    assert main(["--pixels"]) == 0
    assert capsys.readouterr().out.startswith("check: ok, cpu pixels in ")
    monkeypatch.delenv("STORAGE_BUCKET")
    assert main([]) == 1
    assert capsys.readouterr().err == "check: STORAGE_BUCKET: is not set\n"


def test_the_synthetic_photo_is_the_same_every_time() -> None:
    first, second = (prove(Brushwork((CpuBackend(),))) for _ in range(2))
    assert np.isclose(first.painted, second.painted, atol=0.0)
