"""Preparing weights: what comes out is what went in, whole, or nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open
from transformers import CLIPTokenizer, Sam3Config
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.prepare import Plan, main, prepare
from gpu_handler.segment.sam3.preparing.answers import Answers, text_features
from gpu_handler.segment.sam3.preparing.manifest import read_manifest
from gpu_handler.segment.sam3.preparing.staging import (
    OutputRefused,
    check_output,
    check_space,
    staged,
)
from gpu_handler.segment.sam3.preparing.verify import (
    BOX,
    MASK_IOU,
    SCORE,
    OutputsDiffer,
    require_same,
    require_same_parameters,
)
from gpu_handler.segment.sam3.weights.checkpoint import find_checkpoint, open_folder
from gpu_handler.segment.sam3.words.text import PhraseBook
from shared.presets import PRESETS
from tests.checkpoints import tiny_model, write_checkpoint, write_video_checkpoint

CPU = torch.device("cpu")
EVERY_PROMPT = [
    prompt
    for preset in PRESETS.values()
    for concept in (*preset.concepts, *preset.protect_only)
    for prompt in concept.prompts
]


@pytest.fixture(scope="module")
def stock() -> Sam3Model:
    return tiny_model(seed=5, sure=True)


@pytest.fixture(scope="module")
def video(stock: Sam3Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of facebook/sam3, in the hub's cache with its licence."""
    hub = tmp_path_factory.mktemp("hub")
    repository = hub / "models--facebook--sam3"
    folder = write_video_checkpoint(repository / "snapshots" / ("a" * 40), stock)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    (folder / "LICENSE").write_text("SAM License\n")
    (folder / "sam3.pt").write_bytes(b"of no use")
    return hub


@pytest.fixture(scope="module")
def half(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("made") / "sam3"
    arguments = ["--model", "facebook/sam3", "--cache-dir", str(video), "--output", str(output)]
    assert main([*arguments, "--device", "cpu"]) == 0
    return output


@pytest.fixture(scope="module")
def detector(stock: Sam3Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("detector"), stock)


@pytest.fixture(scope="module")
def full(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("made") / "sam3"
    prepare(Plan(model=str(detector), output=output, dtype=torch.float32), None)
    return output


def quick(source: Path, output: Path, *more: str) -> int:
    told = ["--model", str(source), "--output", str(output), "--no-verify", "--device", "cpu"]
    return main([*told, *more])


@pytest.mark.parametrize(("made", "dtype"), [("half", torch.bfloat16), ("full", torch.float32)])
def test_transformers_reads_the_detector_that_went_in(
    request: pytest.FixtureRequest, stock: Sam3Model, made: str, dtype: torch.dtype
) -> None:
    folder: Path = request.getfixturevalue(made)
    config = Sam3Config.from_pretrained(folder)
    assert (config.model_type, config.dtype) == ("sam3", dtype)
    read = Sam3Model.from_pretrained(folder, dtype=dtype)
    expected = {name: value.to(dtype) for name, value in stock.named_parameters()}
    found = dict(read.named_parameters())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    CLIPTokenizer.from_pretrained(folder)


def test_only_the_detector_is_kept(half: Path, stock: Sam3Model) -> None:
    with safe_open(half / "model.safetensors", "pt") as opened:
        assert set(opened.keys()) == set(stock.state_dict())
    assert sorted(file.name for file in half.iterdir()) == [
        "LICENSE",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "text_features.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert not [path for path in half.parent.iterdir() if path != half]


def test_every_prompt_of_every_preset_is_known_without_the_encoder(
    full: Path, stock: Sam3Model
) -> None:
    book = PhraseBook(open_folder(full), CPU, torch.float32)
    features, mask = book.features(EVERY_PROMPT)
    assert not book.encoder_loaded
    tokenizer = CLIPTokenizer.from_pretrained(full)
    asked = tokenizer(
        EVERY_PROMPT, padding="max_length", truncation=True, max_length=32, return_tensors="pt"
    )
    expected = text_features(stock, asked["input_ids"], asked["attention_mask"])
    assert torch.equal(mask, asked["attention_mask"].bool())
    assert float((features - expected).abs().max()) <= 1e-5


def test_the_manifest_tells_where_it_comes_from(half: Path, video: Path) -> None:
    manifest = read_manifest(half)
    source = open_folder(video / "models--facebook--sam3" / "snapshots" / ("a" * 40))
    assert msgspec.structs.astuple(manifest.source) == (
        "facebook/sam3",
        "a" * 40,
        source.fingerprint,
    )
    assert (manifest.dtype, manifest.verified) == ("bfloat16", True)
    assert {"torch", "transformers"} <= manifest.versions.keys()
    others = {file.name: file.stat().st_size for file in half.iterdir()}
    del others["manifest.json"]
    assert {name: told.size for name, told in manifest.files.items()} == others


def test_others_may_read_what_the_folder_lets_them_enter(half: Path) -> None:
    expected = half.stat().st_mode & 0o666
    assert {file.stat().st_mode & 0o777 for file in half.iterdir()} == {expected}


@pytest.fixture
def copied(half: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "sam3"
    folder.mkdir()
    for file in half.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_a_sound_folder_passes_the_check(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(copied)]) == 0
    assert "every file is as its manifest has it" in capsys.readouterr().out


def spoil(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    match how:
        case "a bit":
            content = bytearray(weights.read_bytes())
            content[-1000] ^= 1
            weights.write_bytes(content)
        case "cut short":
            weights.write_bytes(weights.read_bytes()[:-1])
        case "missing":
            (folder / "tokenizer.json").unlink()
        case "one more":
            (folder / "model.safetensors.index.json").write_text("{}")
        case "a link":
            (folder / "config.json").rename(folder.parent / "config.json")
            (folder / "config.json").symlink_to("nowhere")
        case _:
            raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("a bit", "model.safetensors has SHA-256"),
        ("cut short", "model.safetensors has "),
        ("missing", "tokenizer.json is missing"),
        ("one more", "model.safetensors.index.json is not in the manifest"),
        ("a link", "config.json is missing"),
    ],
)
def test_the_check_names_the_file_that_is_wrong(
    copied: Path, capsys: pytest.CaptureFixture[str], how: str, told: str
) -> None:
    spoil(copied, how)
    assert main(["--check", str(copied)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "has no manifest.json"),
        ("", "cannot be read"),
        ("[" * 5000, "cannot be read"),
        ('{"kind": 3}', "cannot be read"),
    ],
)
def test_a_folder_without_a_manifest_of_ours_fails_the_check(
    copied: Path, capsys: pytest.CaptureFixture[str], text: str | None, told: str
) -> None:
    (copied / "manifest.json").unlink()
    if text is not None:
        (copied / "manifest.json").write_text(text)
    assert main(["--check", str(copied)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a/b", ""])
def test_a_manifest_that_points_outside_its_folder_is_refused(
    copied: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = copied / "manifest.json"
    told = msgspec.json.decode(file.read_bytes(), type=dict[str, object])
    told["files"] = {name: {"size": 1, "sha256": "0" * 64}}
    file.write_bytes(msgspec.json.encode(told))
    assert main(["--check", str(copied)]) == 1
    assert "outside its folder" in capsys.readouterr().err


def test_a_source_with_what_is_no_number_is_refused_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tiny_model()
    broken.detr_decoder.query_embed.weight[0, 0] = torch.nan
    source = write_checkpoint(tmp_path / "broken", broken)
    output = tmp_path / "out" / "sam3"
    arguments = ["--model", str(source), "--output", str(output), "--dtype", "float32"]
    assert main(arguments) == 1
    assert "detr_decoder.query_embed.weight" in capsys.readouterr().err.splitlines()[-1]
    assert list(output.parent.iterdir()) == []


def test_parameters_are_compared_bit_for_bit(stock: Sam3Model) -> None:
    other = tiny_model(seed=5, sure=True)
    require_same_parameters(stock, other, torch.float32)
    weight = other.mask_decoder.instance_projection.weight
    weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    with pytest.raises(OutputsDiffer, match=r"mask_decoder\.instance_projection\.weight"):
        require_same_parameters(stock, other, torch.float32)
    with pytest.raises(OutputsDiffer):
        require_same_parameters(stock, stock, torch.bfloat16)


def made_answers() -> Answers:
    picked = torch.Generator().manual_seed(0)
    scores = torch.rand(2, 6, generator=picked)
    shapes = ((2, 6, 4), (2, 6, 16, 16), (2, 16, 16))
    return Answers(scores, *(torch.randn(shape, generator=picked) for shape in shapes))


def test_outputs_may_differ_by_their_precision_and_not_by_more() -> None:
    asked = made_answers()
    best = asked.scores.argmax(1)
    require_same(asked, asked, torch.float32)

    def refused(other: Answers, dtype: torch.dtype) -> bool:
        try:
            require_same(asked, other, dtype)
        except OutputsDiffer:
            return True
        return False

    near = msgspec.structs.replace(asked, scores=asked.scores + SCORE / 2)
    far = msgspec.structs.replace(asked, scores=asked.scores - 2 * SCORE)
    moved = msgspec.structs.replace(asked, boxes=asked.boxes + 2 * BOX)
    empty = msgspec.structs.replace(asked, semantic=asked.semantic - 9)
    lost = asked.masks.clone()
    lost[0, best[0]] *= -1
    one_lost = msgspec.structs.replace(asked, masks=lost)
    no_number = msgspec.structs.replace(asked, masks=asked.masks * torch.nan)
    assert refused(near, torch.float32)
    assert not refused(near, torch.bfloat16)
    for other in (far, moved, empty, one_lost, no_number):
        assert refused(other, torch.bfloat16)


def test_a_mask_may_flip_where_its_logit_is_tiny() -> None:
    asked = made_answers()
    masks = asked.masks.clone()
    masks[masks.abs() < 0.09] *= -1
    other = msgspec.structs.replace(asked, masks=masks)
    assert require_same(asked, other, torch.bfloat16).mask_iou == 1.0
    masks[0, asked.scores[0].argmax(), :4] = -3.0
    with pytest.raises(OutputsDiffer):
        require_same(asked, other, torch.bfloat16)
    assert MASK_IOU == 0.99


def test_a_folder_of_others_is_replaced_by_force_alone(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mine"
    output.mkdir()
    (output / "diary.txt").write_text("dear")
    assert quick(detector, output) == 1
    assert "--force" in capsys.readouterr().err.splitlines()[-1]
    assert (output / "diary.txt").read_text() == "dear"
    assert quick(detector, output, "--force") == 0
    assert not (output / "diary.txt").exists()
    assert not read_manifest(output).verified
    assert quick(detector, output, "--dtype", "float32") == 0  # one of its own
    assert read_manifest(output).dtype == "float32"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("force", [False, True])
def test_the_source_is_never_replaced(detector: Path, tmp_path: Path, force: bool) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for file in detector.iterdir():
        (linked / file.name).symlink_to(file)
    pairs = [(detector, detector / "made"), (linked, linked)]
    pairs += [(source, output) for source in (detector, linked) for output in detector.parents]
    for source, output in (*pairs, (detector, detector), (linked, detector)):
        if output.is_mount():
            continue
        with pytest.raises(OutputRefused, match="overlap"):
            check_output(output, source, force=True)
    before = sorted(detector.iterdir())
    with pytest.raises(OutputRefused):
        prepare(Plan(model=str(detector), output=detector, force=force), None)
    assert sorted(detector.iterdir()) == before


def test_a_file_and_a_mount_point_are_no_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputRefused, match="not a folder"):
        check_output(tmp_path / "file", None, force=True)
    with pytest.raises(OutputRefused, match="mount point"):
        check_output(Path("/"), None, force=True)


def test_an_earlier_output_in_the_cache_is_not_taken_for_the_source(
    video: Path, detector: Path, tmp_path: Path
) -> None:
    """A worker's cache holds both, and what a worker finds first is the output."""
    (tmp_path / "models--facebook--sam3").symlink_to(video / "models--facebook--sam3")
    output = tmp_path / "sam3"
    assert quick(detector, output) == 0
    assert find_checkpoint("facebook/sam3", tmp_path) == open_folder(output)
    nobody = "http://127.0.0.1:9"
    plan = Plan(model="facebook/sam3", output=output, cache_dir=tmp_path, endpoint=nobody)
    manifest = prepare(msgspec.structs.replace(plan, verify=False), None)
    assert manifest.source.revision == "a" * 40


def test_a_model_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quick(tmp_path / "nowhere", tmp_path / "out") == 1
    (line,) = [row for row in capsys.readouterr().err.splitlines() if "prepare:" not in row]
    assert line.startswith("error: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [[], ["--output", "a", "--check", "b"], ["--output", "a", "--dtype", "int8"], ["--what"]],
)
def test_bad_usage_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


def test_too_little_space_is_told_first(tmp_path: Path) -> None:
    check_space(tmp_path / "not" / "there", 1)
    with pytest.raises(OutputRefused, match="too little space"):
        check_space(tmp_path / "not" / "there", 2**60)


def test_source_and_output_may_lie_on_different_disks(detector: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == detector.stat().st_dev:
        pytest.skip("there is one file system only")
    output = shm / f"sam3-test-{os.getpid()}" / "sam3"
    try:
        assert quick(detector, output) == 0
        assert main(["--check", str(output)]) == 0
    finally:
        subprocess.run(["rm", "-rf", str(output.parent)], check=True)


WRITES_AND_WAITS = """
import sys, time
from pathlib import Path
from gpu_handler.segment.sam3.preparing.staging import staged
with staged(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("a")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_leaves_no_output_and_the_next_one_works(tmp_path: Path) -> None:
    output = tmp_path / "sam3"
    with subprocess.Popen(
        [sys.executable, "-c", WRITES_AND_WAITS, str(output)], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "writing\n"
        with pytest.raises(OutputRefused, match="another run"), staged(output):
            pass
        assert (tmp_path / ".sam3.partial" / "half").exists()  # and it lost nothing to the other
        running.send_signal(signal.SIGKILL)
    assert not output.exists()
    with staged(output) as folder:
        assert list(folder.iterdir()) == []
        (folder / "whole").write_text("b")
        assert not output.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["sam3"]
    assert [path.name for path in output.iterdir()] == ["whole"]


def write_and_break_off(output: Path) -> None:
    with staged(output) as folder:
        (folder / "second").write_text("2")
        raise KeyboardInterrupt


def test_a_failed_run_leaves_what_was_there(tmp_path: Path) -> None:
    output = tmp_path / "sam3"
    with staged(output) as folder:
        (folder / "first").write_text("1")
    with pytest.raises(KeyboardInterrupt):
        write_and_break_off(output)
    assert [path.name for path in output.iterdir()] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["sam3"]
