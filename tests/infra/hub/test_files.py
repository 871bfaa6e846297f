"""The Hub's files fit their described shape, and what they offer to try really works."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import cv2
import jsonschema_rs
import numpy as np
import pytest

from gpu_handler.settings import Settings
from infra.hub.inputs import test_input as given_input
from infra.hub.inputs import tests as given_tests
from tests.infra.places.names import SDK, handler_names, required_of_the_handler

ROOT = Path(__file__).resolve().parents[3]
RUNPOD = ROOT / ".runpod"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def schema(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(read(ROOT / "infra" / "hub" / f"{name}.schema.json"))


@pytest.mark.parametrize("name", ["hub", "tests"])
def test_the_file_fits_its_schema(name: str) -> None:
    schema(name).validate(read(RUNPOD / f"{name}.json"))


def test_the_schemas_refuse_what_the_hub_would() -> None:
    hub = read(RUNPOD / "hub.json")
    number = next(one for one in hub["config"]["env"] if one["key"] == "BATCH_CONCURRENCY")
    broken: list[Any] = [
        {**hub, "category": "picture"},
        {name: value for name, value in hub.items() if name != "title"},
        {**hub, "config": {**hub["config"], "gpuIds": ""}},
        {**hub, "config": {**hub["config"], "containerDiskInGb": "20"}},
        {**hub, "config": {**hub["config"], "env": [{"key": "A"}]}},
        {**hub, "config": {**hub["config"], "env": [{"key": "A", "value": "1", **number}]}},
        {**hub, "config": {**hub["config"], "gpus": 1}},
    ]
    assert [one for one in broken if schema("hub").is_valid(one)] == []
    assert not schema("tests").is_valid({"tests": [], "config": {}})
    assert not schema("tests").is_valid({"tests": [{"name": "a", "input": "text"}]})


def test_what_it_asks_for_is_what_the_worker_reads() -> None:
    config = read(RUNPOD / "hub.json")["config"]
    asked = {one["key"] for one in config["env"]}
    presets = {name for preset in config["presets"] for name in preset["defaults"]}
    assert asked | presets <= handler_names() | SDK
    assert presets <= asked
    needed = {one["key"] for one in config["env"] if one.get("input", {}).get("required")}
    assert needed == required_of_the_handler()


def test_what_it_offers_the_worker_takes() -> None:
    """Every option and default, one after the other, in the worker's own settings."""
    enough = {one["key"]: one["value"] for one in read(RUNPOD / "tests.json")["config"]["env"]}
    for one in read(RUNPOD / "hub.json")["config"]["env"]:
        asked = one.get("input", {})
        offered = [option["value"] for option in asked.get("options", ())]
        for value in [*offered, *([asked["default"]] if "default" in asked else [])]:
            Settings.from_env({**enough, one["key"]: str(value)})


def test_the_files_are_what_the_code_says() -> None:
    """`python -m infra.hub` writes them. JPEG codecs may differ in a bit: photos are looked at."""
    for written, said in (
        (read(ROOT / "test_input.json"), given_input()),
        (read(RUNPOD / "tests.json"), given_tests()),
    ):
        assert photos(written) == pytest.approx(photos(said), abs=2.0)
        assert json.dumps(without_photos(written)) == json.dumps(without_photos(said))


def test_the_hub_builds_the_same_image() -> None:
    assert (RUNPOD / "Dockerfile").read_bytes() == (ROOT / "Dockerfile.gpu").read_bytes()
    assert (RUNPOD / "handler.py").is_file()


def test_the_input_of_the_run_button_is_done_by_the_worker_itself() -> None:
    """The entry point without a platform, as the SDK's own documentation has it."""
    enough = {one["key"]: one["value"] for one in read(RUNPOD / "tests.json")["config"]["env"]}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNPOD_")}
    ended = subprocess.run(
        [sys.executable, "-u", "-m", "gpu_handler.handler"],
        cwd=ROOT,
        env={**kept, **enough, "RUNPOD_LOG_LEVEL": "INFO"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert "Job local_test completed successfully." in ended.stdout
    told = next(line for line in ended.stdout.splitlines() if "Job result:" in line)
    assert "'engine': 'classical'" in told
    assert "'concept': 'Wall'" in told, "a wall is found in it, so that there is something to see"


def photos(value: object) -> list[float]:
    """The mean colour of each photo in `value`."""
    return [mean for text in texts(value) for mean in colour(text)]


def texts(value: object) -> list[str]:
    found = json.dumps(value).split('"image_base64": "')[1:]
    return [part.partition('"')[0] for part in found]


def colour(text: str) -> list[float]:
    read = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    return [float(mean) for mean in read.mean(axis=(0, 1))]


def without_photos(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {k: without_photos(v) for k, v in fields.items() if k != "image_base64"}
    if isinstance(value, list):
        return [without_photos(one) for one in cast("list[Any]", value)]
    return value
