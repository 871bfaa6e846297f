"""The engine that is asked for, or a stop that names the setting: never another in silence."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpu_handler.segment.choice import choose_engine
from gpu_handler.settings import Settings
from shared.environment import SettingsError
from tests.checkpoints import tiny_model, write_checkpoint
from tests.gpu_handler.test_settings import GIVEN


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no hub could be reached; nothing here may try to."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("models") / "sam3", tiny_model(sure=True))


def settings(cache: Path, **environ: str) -> Settings:
    return Settings.from_env({**GIVEN, "MODEL_CACHE_DIR": str(cache), **environ})


def refused(asked: Settings) -> str:
    with pytest.raises(SettingsError) as refusal:
        choose_engine(asked)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_classical_is_taken_where_it_is_asked_for_whatever_weights_there_are(
    weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = settings(weights.parent, SEGMENTER="classical", SAM3_MODEL=str(weights))

    assert choose_engine(asked).name == "classical"
    assert "as SEGMENTER asks" in caplog.text


def test_auto_with_nothing_found_and_nothing_asked_takes_classical_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_engine(settings(tmp_path)).name == "classical"

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "classical is used" in record.getMessage()
    assert str(tmp_path) in record.getMessage()


@pytest.mark.parametrize("given", [{}, {"SEGMENTER": "sam3"}, {"SEGMENTER": "auto"}])
def test_weights_that_are_there_are_taken_and_the_log_says_from_where(
    weights: Path, given: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    engine = choose_engine(settings(weights.parent, SAM3_DEVICE="cpu", **given))

    assert engine.name == "sam3"
    assert "engine: sam3" in caplog.text
    assert str(weights) in caplog.text


@pytest.mark.parametrize("given", ["float32", "bfloat16"])
def test_dtype_that_is_asked_for_is_taken(
    weights: Path, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    choose_engine(settings(weights.parent, SAM3_DEVICE="cpu", SAM3_DTYPE=given))

    assert f"threads) in {given}: " in caplog.text


def test_folder_that_is_named_is_taken(weights: Path, tmp_path: Path) -> None:
    asked = settings(tmp_path, SAM3_MODEL=str(weights), SAM3_DEVICE="cpu", SAM3_COMPILE="off")

    assert choose_engine(asked).name == "sam3"


@pytest.mark.parametrize("segmenter", ["sam3", "auto"])
def test_weights_asked_for_and_not_there_stop_the_worker(tmp_path: Path, segmenter: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    told = refused(settings(tmp_path, SEGMENTER=segmenter, SAM3_MODEL=str(empty)))

    assert told.startswith("SAM3_MODEL: ")
    assert str(empty) in told


@pytest.mark.parametrize(
    "given", [{"SEGMENTER": "sam3"}, {"HF_TOKEN": "hf_canary"}, {"SAM3_MODEL": "facebook/sam3"}]
)
def test_hub_that_cannot_be_asked_stops_the_worker(tmp_path: Path, given: dict[str, str]) -> None:
    told = refused(settings(tmp_path, **given))

    assert told.startswith("SAM3_MODEL: facebook/sam3")
    assert "canary" not in told


def test_download_that_broke_off_is_no_reason_for_classical(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "sam3"}')

    assert refused(settings(tmp_path)).startswith("SAM3_MODEL: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_device_that_is_not_there_stops_the_worker(weights: Path) -> None:
    assert refused(settings(weights.parent, SAM3_DEVICE="cuda")).startswith("SAM3_DEVICE: ")


@pytest.mark.parametrize("segmenter", ["sam3", "auto"])
def test_weights_without_the_libraries_stop_the_worker(
    weights: Path, segmenter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as where it is not installed

    told = refused(settings(weights.parent, SEGMENTER=segmenter))

    assert told.startswith("SEGMENTER: SAM3 needs transformers: install the sam3 extra")


def test_torch_is_not_imported_for_classical(tmp_path: Path) -> None:
    script = """
import sys
from gpu_handler.handler import choose_engine
from gpu_handler.settings import Settings
for segmenter in ("classical", "auto"):
    environ = dict(zip(sys.argv[1::2], sys.argv[2::2]), SEGMENTER=segmenter)
    assert choose_engine(Settings.from_env(environ)).name == "classical"
print([name for name in ("torch", "transformers", "huggingface_hub") if name in sys.modules])
"""
    given = [part for pair in {**GIVEN, "MODEL_CACHE_DIR": str(tmp_path)}.items() for part in pair]

    told = subprocess.run(
        [sys.executable, "-c", script, *given], capture_output=True, text=True, timeout=60
    )

    assert told.stdout == "[]\n", told.stderr
