"""Loading a checkpoint: equal to transformers' own loading, and refused in one line otherwise."""

import gc
import json
import logging
import shutil
import threading
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.weights import buffers, reading
from gpu_handler.segment.sam3.weights.checkpoint import CheckpointError, open_folder
from gpu_handler.segment.sam3.weights.loading import RESERVE, load_model, load_text_encoder
from gpu_handler.segment.sam3.weights.refusals import MemoryShort, WeightsDamaged, WrongArchitecture
from tests.checkpoints import tiny_config, tiny_model, write_checkpoint, write_video_checkpoint

CPU = torch.device("cpu")
F32, BF16 = torch.float32, torch.bfloat16
LAYOUTS = ["detector", "video"]
DERIVED = {"position_ids", "inv_freq", "original_inv_freq"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both layouts of one model."""
    root = tmp_path_factory.mktemp("checkpoints")
    model = tiny_model()
    return {
        "detector": write_checkpoint(root / "detector", model),
        "video": write_video_checkpoint(root / "video", model),
    }


@pytest.fixture(scope="module")
def stock(folders: dict[str, Path]) -> dict[str, Sam3Model]:
    """What transformers loads, in float32."""
    return {name: Sam3Model.from_pretrained(folder).eval() for name, folder in folders.items()}


@pytest.fixture
def changed(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the detector to do something to."""
    return Path(shutil.copytree(folders["detector"], tmp_path / "changed"))


def load(folder: Path, dtype: torch.dtype = F32, *, with_text: bool = True) -> Sam3Model:
    return load_model(open_folder(folder), CPU, dtype, with_text=with_text)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


def same(ours: Tensor, theirs: Tensor) -> bool:
    alike = ours.dtype == theirs.dtype and ours.stride() == theirs.stride()
    return alike and ours.device == theirs.device and torch.equal(ours, theirs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_parameter_and_buffer_is_what_transformers_loads(
    layout: str, folders: dict[str, Path], stock: dict[str, Sam3Model]
) -> None:
    ours, theirs = load(folders[layout]), stock[layout]

    expected = tensors(theirs)
    assert list(tensors(ours)) == list(expected)
    assert [n for n, t in tensors(ours).items() if not same(t, expected[n])] == []
    assert not any(module.training for module in ours.modules())
    assert not any(weight.requires_grad for weight in ours.parameters())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_parameters_are_cast(
    layout: str, folders: dict[str, Path], stock: dict[str, Sam3Model]
) -> None:
    ours = load(folders[layout], BF16)

    weights = dict(stock[layout].named_parameters())
    assert all(same(w, weights[n].to(BF16)) for n, w in ours.named_parameters())
    kept = dict(stock[layout].named_buffers())
    assert {name.rpartition(".")[2] for name in kept} == DERIVED
    assert all(same(b, kept[n]) for n, b in ours.named_buffers())


def test_a_model_of_another_shape_has_its_own_positions(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, tiny_model(tiny_config(side=168, layers=3)))
    expected = dict(Sam3Model.from_pretrained(folder).named_buffers())
    assert all(same(b, expected[n]) for n, b in load(folder).named_buffers())


def test_it_attends_as_the_stock_model_does(
    folders: dict[str, Path], stock: dict[str, Sam3Model]
) -> None:
    pairs = zip(load(folders["video"]).modules(), stock["video"].modules(), strict=True)
    for ours, theirs in pairs:
        for name in ("config", "scaling", "scale", "is_causal"):
            ours_said, theirs_said = getattr(ours, name, None), getattr(theirs, name, None)
            how = getattr(ours_said, "_attn_implementation", ours_said)
            assert how == getattr(theirs_said, "_attn_implementation", theirs_said), name


def test_half_precision_on_disk_becomes_what_is_asked_for(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    stored = tiny_model()
    for weight in stored.parameters():
        weight.data = weight.data.to(BF16)
    folder = write_checkpoint(tmp_path, stored)
    ours = load(folder, F32)
    expected = dict(stored.named_parameters())
    assert all(same(w, expected[n].float()) for n, w in ours.named_parameters())
    assert open_folder(folder).fingerprint != open_folder(folders["detector"]).fingerprint


def test_shards_load_as_one_file(changed: Path, stock: dict[str, Sam3Model]) -> None:
    (changed / "model.safetensors").unlink()
    stock["detector"].save_pretrained(changed, max_shard_size="600KB")
    assert len(open_folder(changed).files) > 2
    expected = tensors(stock["detector"])
    assert all(same(t, expected[n]) for n, t in tensors(load(changed)).items())


class Watched:
    """safe_open that notes every tensor that is read."""

    names: list[str]

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._opened = safe_open(*args, **kwargs)

    def __enter__(self) -> "Watched":
        self._opened.__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        self._opened.__exit__(*args)

    def get_tensor(self, name: str) -> Tensor:
        self.names.append(name)
        return self._opened.get_tensor(name)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(Watched, "names", names, raising=False)
    monkeypatch.setattr(reading, "safe_open", Watched)
    return names


def test_the_tracker_is_never_read(folders: dict[str, Path], read: list[str]) -> None:
    model = load(folders["video"])
    assert sorted(read) == sorted(f"detector_model.{name}" for name in model.state_dict())


def test_without_text_its_weights_are_neither_read_nor_needed(
    folders: dict[str, Path], stock: dict[str, Sam3Model], read: list[str], tmp_path: Path
) -> None:
    model = load(folders["video"], BF16, with_text=False)

    text = ("text_encoder.", "text_projection.")
    on_meta = {name for name, tensor in tensors(model).items() if tensor.is_meta}
    assert on_meta == {name for name in tensors(model) if name.startswith(text)}
    assert not any("text_encoder" in name or ".text_projection" in name for name in read)
    assert (model.device, model.dtype) == (CPU, BF16)

    weights = load_file(folders["detector"] / "model.safetensors")
    rest = {name: weight for name, weight in weights.items() if not name.startswith(text)}
    shutil.copy(folders["detector"] / "config.json", tmp_path)
    save_file(rest, tmp_path / "model.safetensors")
    assert not dict(load(tmp_path, with_text=False).named_parameters())[
        "detr_encoder.layers.0.mlp.fc1.weight"
    ].is_meta
    with pytest.raises(WrongArchitecture, match="lacks tensors: text_encoder"):
        load(tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_text_encoder_alone_says_what_the_model_says(
    layout: str, folders: dict[str, Path], stock: dict[str, Sam3Model], read: list[str]
) -> None:
    encoder = load_text_encoder(open_folder(folders[layout]), CPU, F32)
    assert all("text_encoder." in name or "text_projection." in name for name in read)
    assert not encoder.training

    ids = torch.randint(0, 512, (5, 32), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(32) < torch.tensor([3, 32, 7, 1, 12])[:, None]).long()
    with torch.no_grad():
        told = stock[layout].get_text_features(cast("torch.LongTensor", ids), mask)
        expected = cast("BaseModelOutputWithPooling", told).pooler_output
        assert expected is not None
        assert torch.equal(encoder(ids, mask), expected)
        assert torch.equal(encoder(ids, mask.bool()), expected)
    assert expected.shape == (5, 32, 32)
    assert not encoder(ids, mask).requires_grad


def test_the_text_encoder_keeps_its_positions_when_cast(folders: dict[str, Path]) -> None:
    encoder = load_text_encoder(open_folder(folders["video"]), CPU, BF16)
    assert {weight.dtype for weight in encoder.parameters()} == {BF16}
    positions = encoder.text_encoder.text_model.embeddings.position_ids
    assert torch.equal(positions, torch.arange(32)[None])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [F32, BF16])
def test_a_gpu_gets_the_same_numbers(folders: dict[str, Path], dtype: torch.dtype) -> None:
    checkpoint = open_folder(folders["video"])
    expected = tensors(load_model(checkpoint, CPU, dtype))
    loaded = tensors(load_model(checkpoint, torch.device("cuda"), dtype))
    assert {tensor.device.type for tensor in loaded.values()} == {"cuda"}
    assert [n for n, t in loaded.items() if not same(t.cpu(), expected[n])] == []


def test_weights_outlive_their_file(changed: Path) -> None:
    model = load(changed)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    file = changed / "model.safetensors"
    with file.open("r+b") as opened:
        opened.write(bytes(file.stat().st_size))
        opened.truncate(100)
    gc.collect()
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_loading_is_silent_and_leaves_the_logs_as_they_were(
    folders: dict[str, Path], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def levels() -> dict[str, int]:
        loggers = logging.Logger.manager.loggerDict.items()
        return {n: lg.level for n, lg in loggers if isinstance(lg, logging.Logger)}

    before = levels()
    caplog.set_level(logging.INFO)
    for name in LAYOUTS:
        load(folders[name])
        load_text_encoder(open_folder(folders[name]), CPU, F32)
    assert capfd.readouterr() == ("", "")
    own = [r.getMessage() for r in caplog.records if r.thread == threading.get_ident()]
    assert own == []
    assert levels() == before


def test_too_little_memory_is_refused_before_anything_is_read(
    folders: dict[str, Path], read: list[str]
) -> None:
    checkpoint = open_folder(folders["video"])
    needed = checkpoint.parameter_bytes // 2 + RESERVE
    with pytest.raises(MemoryShort, match=r"^sam3 needs 0\.3 GB on cpu, 0\.3 GB are free$"):
        load_model(checkpoint, CPU, BF16, free=needed - 1)
    with pytest.raises(MemoryShort, match=r"^sam3's text encoder needs 0\.3 GB on cpu, 0\.0 GB"):
        load_text_encoder(checkpoint, CPU, BF16, free=0)
    assert read == []
    load_model(checkpoint, CPU, BF16, free=needed)
    load_model(checkpoint, CPU, BF16, free=needed - 1, with_text=False)


@pytest.mark.parametrize(
    ("drop", "add", "says"),
    [
        ("text_projection.bias", {}, "lacks tensors: text_projection.bias"),
        ("mask_decoder.", {}, " lacks tensors: mask_decoder"),
        (
            None,
            {"strange.one": torch.zeros(1), "other": torch.zeros(1)},
            "has unexpected tensors: other, strange.one",
        ),
        (
            None,
            {"text_projection.bias": torch.zeros(7)},
            "has tensors of other shapes than its config says: text_projection.bias [7]",
        ),
        (
            None,
            {"text_projection.bias": torch.zeros(32, dtype=torch.int8)},
            "is quantised, which is not supported: text_projection.bias I8",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    changed: Path, drop: str | None, add: dict[str, Tensor], says: str
) -> None:
    file = changed / "model.safetensors"
    weights = {
        n: w.clone() for n, w in load_file(file).items() if not (drop and n.startswith(drop))
    }
    save_file(weights | add, file)
    with pytest.raises(WrongArchitecture) as refused:
        load(changed)
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{changed} ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_what_older_versions_stored_is_passed_over(changed: Path) -> None:
    file = changed / "model.safetensors"
    weights = {name: weight.clone() for name, weight in load_file(file).items()}
    weights["text_encoder.text_model.embeddings.position_ids"] = torch.zeros(1, 32)
    weights["vision_encoder.backbone.layers.0.rotary_emb.inv_freq"] = torch.zeros(4)
    save_file(weights, file)
    model = load(changed)
    assert model.text_encoder.text_model.embeddings.position_ids[0, 31] == 31


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"image_size": 630, "window_size": 24}, "grid of 45 patches is not a multiple of the "),
        ({"image_size": 1000}, "1000 pixels are not a multiple of the patch of 14"),
        ({"image_size": [112, 56]}, "image_size and patch_size must be single numbers"),
        ({"image_size": "wide"}, "describes no SAM3 model"),
        ({"window_size": 0}, "not a multiple"),
        ({"hidden_act": "no such thing"}, "describes no SAM3 model"),
        ({"num_hidden_layers": 3}, "lacks tensors: vision_encoder.backbone.layers.2"),
        ({"num_hidden_layers": 1}, "has unexpected tensors: vision_encoder.backbone.layers.1"),
        ({"hidden_size": 128}, "has tensors of other shapes than its config says: vision_enc"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    changed: Path, part: dict[str, object], says: str
) -> None:
    file = changed / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["vision_config"]["backbone_config"] |= part
    file.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(WrongArchitecture) as refused:
        load(changed)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("config", [{"vision_config": 3}, {"text_config": {"model_type": "x"}}])
def test_a_config_of_nonsense_is_refused(changed: Path, config: dict[str, object]) -> None:
    told = json.dumps({"model_type": "sam3"} | config)
    (changed / "config.json").write_text(told, encoding="utf-8")
    with pytest.raises(CheckpointError) as refused:
        load(changed)
    assert "\n" not in str(refused.value)


def test_a_file_that_shrank_since_it_was_found_is_refused(changed: Path) -> None:
    checkpoint = open_folder(changed)
    with (changed / "model.safetensors").open("r+b") as opened:
        opened.truncate(9000)
    with pytest.raises(CheckpointError, match="is cut short"):
        load_model(checkpoint, CPU, F32)


def test_a_file_that_cannot_be_read_on_is_damage(
    changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(reading, "safe_open", broken)
    with pytest.raises(WeightsDamaged, match="Input/output error"):
        load(changed)


def test_a_buffer_that_is_not_known_stops_the_loading() -> None:
    module = nn.Module()
    module.register_buffer("new", torch.empty(3, device="meta"), persistent=False)
    with pytest.raises(NotImplementedError, match="new is not known"):
        buffers.fill_buffers(module, CPU)
