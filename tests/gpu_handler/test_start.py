"""A start tells where its seconds went, and how many it took since the process began."""

import gc
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_handler.segment.choice import choose_engine
from gpu_handler.settings import Settings
from gpu_handler.start import Start, nothing_collected, process_age
from tests.checkpoints import tiny_model, write_checkpoint
from tests.gpu_handler.test_settings import GIVEN

SLEPT = 0.3

ASLEEP = f"""
import time
time.sleep({SLEPT})
from gpu_handler.start import process_age
print(process_age())
"""


def test_the_age_of_a_process_counts_from_its_start() -> None:
    began = time.monotonic()
    told = subprocess.run([sys.executable, "-c", ASLEEP], capture_output=True, check=True).stdout
    # The kernel counts starts in hundredths.
    assert SLEPT <= float(told) <= time.monotonic() - began + 0.02


def test_stages_come_in_their_order_and_the_total_holds_them_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    before = process_age()
    start = Start()
    for name in ("adapter", "weights", "adapter"):
        with start.stage(name):
            time.sleep(0.02)
    start.ready()

    (record,) = caplog.records
    stages: dict[str, float] = vars(record)["start"]
    assert list(stages) == ["python", "adapter", "weights", "total"]
    assert stages["python"] >= round(before, 3)
    assert stages["adapter"] >= 0.04
    total = stages.pop("total")
    assert total >= sum(stages.values()) - 0.002  # each is rounded to milliseconds
    assert record.getMessage().startswith(f"ready in {total:.2f} s: python {stages['python']:.2f}")


def test_garbage_is_collected_again_after_a_start_that_failed() -> None:
    assert gc.isenabled()
    during: list[bool] = []

    def fail() -> None:
        with nothing_collected():
            during.append(gc.isenabled())
            raise ValueError("SAM3_DEVICE")

    with pytest.raises(ValueError, match="SAM3_DEVICE"):
        fail()
    assert during == [False]
    assert gc.isenabled()


def test_the_engine_names_its_stages(tmp_path: Path) -> None:
    names: list[str] = []

    @contextmanager
    def stage(name: str) -> Generator[None]:
        names.append(name)
        yield

    weights = write_checkpoint(tmp_path / "sam3", tiny_model())
    asked = {"SEGMENTER": "sam3", "SAM3_MODEL": str(weights), "SAM3_DEVICE": "cpu"}
    choose_engine(Settings.from_env({**GIVEN, **asked}), stage)
    assert names == ["look", "libraries", "weights", "words", "budget"]


def test_a_worker_logs_one_line_when_it_is_ready() -> None:
    """Outside of Runpod the SDK does one job, here one that is refused, and ends."""
    environ = {name: v for name, v in os.environ.items() if not name.startswith("RUNPOD_")}
    done = subprocess.run(
        [sys.executable, "-u", "-m", "gpu_handler.handler", "--test_input", '{"input": {}}'],
        env={**environ, **GIVEN, "SEGMENTER": "classical", "PIXEL_BACKEND": "cpu"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if "start" in line]
    assert list(line["start"]) == ["python", "adapter", "pixels", "check", "clients", "total"]
    assert line["message"].startswith("ready in ")
    assert line["start"]["total"] >= line["start"]["python"] > 0
