"""Finding weights: which place wins, what is refused, and what tells weights apart."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_handler.segment.sam3.weights.checkpoint import (
    Checkpoint,
    CheckpointError,
    Layout,
    find_checkpoint,
    open_folder,
)
from gpu_handler.segment.sam3.weights.refusals import (
    WeightsDamaged,
    WeightsIncomplete,
    WrongArchitecture,
)
from tests.gpu_handler.segment.sam3.weights_on_disk import (
    BYTES,
    TENSORS,
    safetensors,
    with_header,
    write_folder,
    write_snapshot,
)

SAM3 = "facebook/sam3"


def find(cache_dir: Path, model: str = SAM3) -> Checkpoint | None:
    return find_checkpoint(model, cache_dir, runpod_cache=cache_dir / "volume")


def found(cache_dir: Path, model: str = SAM3) -> Path:
    checkpoint = find(cache_dir, model)
    assert checkpoint is not None
    return checkpoint.path


def test_places_are_looked_at_in_the_order_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(tmp_path) is None
    hubs = [tmp_path / "volume", tmp_path / "huggingface-cache/hub", tmp_path / "hub", tmp_path]
    for hub in hubs:
        snapshot = write_snapshot(hub, "abc")
        assert found(tmp_path) == snapshot
    for folder in (tmp_path / "sam3", tmp_path):
        write_folder(folder)
        assert found(tmp_path) == folder
    write_folder(tmp_path / "facebook" / "sam3")
    assert found(tmp_path) == Path("facebook/sam3")


def test_a_folder_asked_for_is_the_only_one_looked_at(tmp_path: Path) -> None:
    write_folder(tmp_path)
    assert find(tmp_path, str(tmp_path / "typo")) is None
    assert find(tmp_path, str(write_folder(tmp_path / "mine"))) == open_folder(tmp_path / "mine")


def test_another_model_is_not_taken_for_the_one_asked_for(tmp_path: Path) -> None:
    write_folder(tmp_path / "sam3")
    write_snapshot(tmp_path, "abc")
    assert find(tmp_path, "facebook/sam3.1") is None
    assert find(tmp_path, "somebody/sam4") is None


@pytest.mark.parametrize(
    "model", ["../sam3", "facebook/../sam3", "a/b/sam3", "x\0y/sam3", "-x/sam3"]
)
def test_what_is_no_hub_id_is_no_key_to_the_cache(tmp_path: Path, model: str) -> None:
    write_folder(tmp_path / "cache" / "sam3")
    assert find(tmp_path / "cache", model) is None


def test_the_snapshot_of_main_is_taken_before_a_newer_one(tmp_path: Path) -> None:
    main = write_snapshot(tmp_path, "old", main="old\n")
    newer = write_snapshot(tmp_path, "new")
    os.utime(main, (1, 1))
    assert found(tmp_path) == main
    (tmp_path / "models--facebook--sam3" / "refs" / "main").unlink()
    assert found(tmp_path) == newer


@pytest.mark.parametrize("main", ["gone", "", "../../elsewhere", "\0", "old/../new"])
def test_a_main_that_names_no_snapshot_leaves_the_newest(tmp_path: Path, main: str) -> None:
    write_folder(tmp_path / "elsewhere")
    os.utime(write_snapshot(tmp_path, "old", main=main), (1, 1))
    newest = write_snapshot(tmp_path, "new")
    assert found(tmp_path) == newest


def test_a_newer_snapshot_that_is_not_complete_is_passed_over(tmp_path: Path) -> None:
    whole = write_snapshot(tmp_path, "old")
    os.utime(whole, (1, 1))
    partial = write_snapshot(tmp_path, "new")
    (partial / "model.safetensors").resolve().unlink()
    assert found(tmp_path) == whole
    shutil.rmtree(whole)
    with pytest.raises(WeightsIncomplete, match="the download broke off"):
        find(tmp_path)


def test_the_snapshot_of_main_must_be_complete(tmp_path: Path) -> None:
    write_snapshot(tmp_path, "old")
    (write_snapshot(tmp_path, "new", main="new") / "model.safetensors").unlink()
    with pytest.raises(WeightsIncomplete, match=r"new has config.json but no model.safetensors"):
        find(tmp_path)


def test_the_detector_alone(tmp_path: Path) -> None:
    checkpoint = open_folder(write_folder(tmp_path))
    assert (checkpoint.layout, checkpoint.prefix) == (Layout.DETECTOR, "")
    assert checkpoint.files == (tmp_path / "model.safetensors",)
    assert checkpoint.config["initializer_range"] == 0.02
    assert checkpoint.parameter_bytes == BYTES


def test_the_video_layout_counts_and_describes_the_detector_alone(tmp_path: Path) -> None:
    config = {"model_type": "sam3_video", "detector_config": {"model_type": "sam3", "x": 1}}
    tensors = {f"detector_model.{name}": shape for name, shape in TENSORS.items()}
    tensors |= {"tracker_model.a": [1000], "tracker_neck.b": [1000]}
    checkpoint = open_folder(write_folder(tmp_path, config=config, weights=safetensors(tensors)))
    assert (checkpoint.layout, checkpoint.prefix) == (Layout.VIDEO, "detector_model.")
    assert checkpoint.config == {"model_type": "sam3", "x": 1}
    assert checkpoint.parameter_bytes == BYTES


def test_shards_are_those_that_the_index_names(tmp_path: Path) -> None:
    write_shards(tmp_path)
    checkpoint = open_folder(tmp_path)
    assert [file.name for file in checkpoint.files] == [
        "model-1.safetensors",
        "model-2.safetensors",
    ]
    assert checkpoint.parameter_bytes == BYTES

    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(WeightsIncomplete, match=r"model-2\.safetensors is not there"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    "names", [{}, [], None, {"a": "../x.safetensors"}, {"a": "/x.safetensors"}, {"a": "x.bin"}]
)
def test_an_index_that_leads_elsewhere_is_damage(tmp_path: Path, names: object) -> None:
    write_shards(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}), encoding="utf-8")
    with pytest.raises(WeightsDamaged, match="is damaged"):
        open_folder(tmp_path)


def write_shards(folder: Path) -> None:
    (write_folder(folder) / "model.safetensors").unlink()
    names: dict[str, str] = {}
    for number, (name, shape) in enumerate(TENSORS.items()):
        file = folder / f"model-{number % 2 + 1}.safetensors"
        names[name] = file.name
        shapes = {n: TENSORS[n] for n in names if names[n] == file.name}
        file.write_bytes(safetensors(shapes | {name: shape}))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}), encoding="utf-8")


@pytest.mark.parametrize(
    "told", ["sam2", "sam2_video", "sam", "sam3_tracker", "llama\n2", None, 3, []]
)
def test_another_architecture_is_named(tmp_path: Path, told: object) -> None:
    write_folder(tmp_path, config={"model_type": told})
    with pytest.raises(WrongArchitecture) as refused:
        find(tmp_path)
    assert f"holds a model of type {told!r}, not sam3 or sam3_video" in str(refused.value)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("sam3.pt", "is Meta's format; the Hugging Face safetensors are needed"),
        ("pytorch_model.bin", "is a pickle, which is never opened"),
        ("checkpoint.pth", "is a pickle, which is never opened"),
    ],
)
@pytest.mark.parametrize("with_config", [True, False])
def test_weights_in_a_foreign_format_are_refused(
    tmp_path: Path, file: str, says: str, with_config: bool
) -> None:
    folder = write_folder(tmp_path / "sam3")
    (folder / "model.safetensors").unlink()
    if not with_config:
        (folder / "config.json").unlink()
    (folder / file).write_bytes(b"\x80\x02")
    for model in (SAM3, str(folder)):
        with pytest.raises(WrongArchitecture) as refused:
            find(tmp_path, model)
        assert str(refused.value).startswith(f"{folder / file} {says}")


def test_metas_file_hides_no_weights_that_are_good(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path, "abc")
    for folder in (tmp_path, snapshot):
        (folder / "sam3.pt").write_bytes(b"\x80\x02")
    assert found(tmp_path) == snapshot


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"model_type": "sam3"', "\0", "[" * 10**5])
def test_a_config_that_is_no_json_object_is_damage(tmp_path: Path, text: str) -> None:
    (write_folder(tmp_path) / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(WeightsDamaged, match=r"config\.json is damaged"):
        find(tmp_path)


def test_damage_and_missing_parts_are_errors_and_not_none(tmp_path: Path) -> None:
    weights = write_folder(tmp_path) / "model.safetensors"
    weights.write_bytes(with_header(b"{"))
    with pytest.raises(WeightsDamaged):
        find(tmp_path)
    weights.write_bytes(safetensors()[:-1])
    with pytest.raises(WeightsIncomplete):
        find(tmp_path)
    weights.unlink()
    with pytest.raises(WeightsIncomplete, match=r"has config\.json but no model\.safetensors"):
        find(tmp_path)
    (tmp_path / "config.json").unlink()
    weights.write_bytes(safetensors())
    with pytest.raises(WeightsIncomplete, match=r"has no config\.json"):
        find(tmp_path)


def test_a_place_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: File name too long"):
        find(tmp_path, "x" * 5000)


def test_a_copy_has_the_same_fingerprint(tmp_path: Path) -> None:
    first = open_folder(write_folder(tmp_path / "a"))
    (tmp_path / "a" / "manifest.json").write_text("{}", encoding="utf-8")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert open_folder(tmp_path / "b").fingerprint == first.fingerprint
    assert len(first.fingerprint) == 16


@given(number=st.integers(0, BYTES // 4 - 1))
def test_other_numbers_have_another_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, number: int
) -> None:
    # These tensors are shorter than a sample, or lie in the middle of one as a whole but one.
    folder = tmp_path_factory.mktemp("fingerprint")
    first = open_folder(write_folder(folder)).fingerprint
    weights = bytearray(safetensors())
    at = len(weights) - BYTES + 4 * number
    weights[at] ^= 1
    write_folder(folder, weights=bytes(weights))
    sampled = number >= 128 or 32 <= number < 96
    assert (open_folder(folder).fingerprint != first) == sampled


def test_another_config_has_another_fingerprint(tmp_path: Path) -> None:
    first = open_folder(write_folder(tmp_path)).fingerprint
    write_folder(tmp_path, config={"model_type": "sam3", "initializer_range": 0.03})
    assert open_folder(tmp_path).fingerprint != first


def test_looking_needs_neither_torch_nor_the_hub_library(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "for name in ('torch', 'huggingface_hub', 'transformers', 'safetensors'):\n"
        "    sys.modules[name] = None\n"
        "from gpu_handler.segment.sam3.weights.checkpoint import *\n"
        "print(find_checkpoint('facebook/sam3', pathlib.Path(sys.argv[1])).fingerprint)\n"
        "try: fetch_checkpoint('somebody/else', pathlib.Path(sys.argv[1]), None)\n"
        "except CheckpointError as error: print(error)\n"
    )
    expected = open_folder(write_folder(tmp_path)).fingerprint
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.splitlines() == [
        expected,
        "somebody/else cannot be fetched without huggingface_hub: install the extra sam3",
    ]
