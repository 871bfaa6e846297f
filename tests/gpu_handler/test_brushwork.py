"""What a worker paints with follows its settings; what cannot be had stops it with one line."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gpu_handler.backends.base import Edges
from gpu_handler.backends.choice import BackendChoice
from gpu_handler.handler import choose_brushwork
from gpu_handler.settings import Settings
from shared.environment import SettingsError

REQUIRED = {
    "STORAGE_S3_ENDPOINT": "http://127.0.0.1:9000",
    "STORAGE_ACCESS_KEY": "key",
    "STORAGE_SECRET_KEY": "secret",
    "STORAGE_BUCKET": "s3-images",
    "GPU_CALLBACK_SECRET": "a-callback-secret-of-at-least-32-bytes",
}


def settings(**given: str) -> Settings:
    return Settings.from_env(REQUIRED | given)


def test_defaults() -> None:
    plain = settings()
    assert plain.pixel_backend is BackendChoice.AUTO
    assert plain.mask_edges is Edges.FINE
    assert plain.inpaint_model is None
    brushwork = choose_brushwork(settings(PIXEL_BACKEND="cpu"))
    assert [backend.name for backend in brushwork.backends] == ["cpu"]
    assert brushwork.edges is Edges.FINE
    assert brushwork.inpainter is None


def test_what_is_asked_for() -> None:
    brushwork = choose_brushwork(settings(PIXEL_BACKEND="Torch", MASK_EDGES="soft"))
    assert brushwork.backends[0].name.startswith("torch-")
    assert brushwork.backends[-1].name == "cpu"
    assert brushwork.edges is Edges.SOFT


@pytest.mark.parametrize("name", ["PIXEL_BACKEND", "MASK_EDGES"])
def test_what_is_no_choice_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: "vulkan"})


class Grey(nn.Module):
    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return image * (1 - mask) + 0.5 * mask


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_learned_inpainter_is_loaded_at_start(tmp_path: Path) -> None:
    torch.jit.script(Grey()).save(str(tmp_path / "grey.pt"))
    brushwork = choose_brushwork(settings(INPAINT_MODEL=str(tmp_path / "grey.pt")))
    assert brushwork.inpainter is not None
    with pytest.raises(SettingsError, match=r"^INPAINT_MODEL: .*missing\.pt"):
        choose_brushwork(settings(INPAINT_MODEL=str(tmp_path / "missing.pt")))
