"""The benchmark at a size that takes seconds: it measures what it says."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from tests.benchmarks.sam3 import command
from tests.benchmarks.sam3.device import Ceilings, Device
from tests.benchmarks.sam3.equality import check_equality
from tests.benchmarks.sam3.floors import Work, count_works
from tests.benchmarks.sam3.parts import measure_photos, measure_vision
from tests.benchmarks.sam3.report import Report, markdown
from tests.benchmarks.sam3.rounds import LONG, Budget, interleaved
from tests.benchmarks.sam3.setting import Plan, Setting, build_setting
from tests.benchmarks.sam3.sizes import Size, configuration

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def setting() -> Setting:
    with torch.no_grad():
        plan = Plan((1,), (1, 2), (1, 2), 1)
        return build_setting(Size.TINY, Device("cpu"), plan, Budget(60))


@pytest.mark.slow
def test_one_command_measures_every_part_and_writes_it_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    parts = ["--parts", "memory,photo,decode,vision"]
    command.main(["--size", "tiny", "--device", "cpu", "--quick", *parts, "--json", str(file)])
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    ours = [row for row in report.rows if row.ratios]
    assert {(row.part, row.way, row.count) for row in ours} == {
        (part, way, count)
        for part, counts in (("vision", (1, 2)), ("decode", (1, 4)), ("photo", (1, 8)))
        for way in ("eager fp32", "eager bf16")
        for count in counts
    }
    assert all(row.timing.seconds > 0 and row.floor and row.ratios for row in ours)
    assert {len(row.ratios) for row in ours if row.part == "photo"} == {4}
    assert all(row.most >= row.rest > 0 for row in report.memory)
    assert not report.skipped
    printed = capsys.readouterr().out
    table = [line for line in printed.splitlines() if line.startswith("| ") and "eager" in line]
    assert len(table) == len(ours) + len([row for row in report.memory if "eager" in row.way])


@pytest.mark.slow
def test_what_is_not_equal_is_not_timed(setting: Setting) -> None:
    with torch.inference_mode():
        check_equality(setting)
        weight = setting.ways["eager fp32"].detector.fusion[0].get_parameter("layer.mlp.fc2.bias")
        right = weight.clone()
        weight.add_(0.01)
        with pytest.raises(AssertionError, match=r"eager fp32: \w+ is off by"):
            check_equality(setting)
        weight.copy_(right)


def test_both_ways_find_the_same_masks_in_a_photo(setting: Setting) -> None:
    """So that what is timed is the same work: every mask of ours is among the stock model's."""
    with torch.inference_mode():
        stock = setting.reference.photo(2)
        again = setting.reference.photo_reusing(2)
        found = setting.ways["eager fp32"].photo(
            setting.pictures[0], setting.pairs(1, 2, torch.float32)
        )
    assert [masks.shape for masks in stock] == [(8, 168, 224)] * 2
    assert all((a == b).mean() > 0.999 for a, b in zip(stock, again, strict=True))
    assert {grid.shape for grid in found} == {(32, 32)}
    assert 2 < len(found) <= 2 + 2 * 8


def test_a_run_without_time_names_what_it_left_out(setting: Setting) -> None:
    with torch.inference_mode():
        measure_vision(setting, Budget(60))
        measure_photos(setting, Budget(0))
    assert [row.part for row in setting.report.rows if row.ratios] == ["vision"] * 2 + ["photo"] * 2
    assert setting.report.skipped == ["photo at 2: out of time"]
    assert "photo at 2: out of time" in markdown(setting.report)


def test_the_work_of_the_published_model_is_counted() -> None:
    """5613 GFLOP a photo and 420 a phrase, by counting layer by layer; ours shares and folds."""
    works = count_works(configuration(Size.FULL), torch.bfloat16)
    assert works.stock_vision.flops == pytest.approx(5613.5e9, rel=1e-4)
    assert works.stock_pair.flops == pytest.approx(420.1e9, rel=1e-3)
    assert works.vision.flops == pytest.approx(5767.9e9, rel=1e-4)
    assert works.pair.flops < 310e9
    # Two bytes for each of the 454 million parameters of the vision encoder.
    assert works.stock_vision.weights == pytest.approx(908e6, rel=1e-2)


def test_a_floor_is_the_slower_of_arithmetic_and_memory() -> None:
    ceilings = Ceilings({"fp32": 100.0, "bf16": 1000.0}, bandwidth=10.0)
    work = Work(flops=1000, weights=80, moved=20)
    assert work.floor(ceilings, torch.float32) == 10.0
    assert work.floor(ceilings, torch.bfloat16) == 10.0
    assert work.floor(ceilings, torch.bfloat16, batch=8) == 3.0


class ScriptedDevice(Device):
    """Calls take the seconds that they answer."""

    def seconds(self, call: Callable[[], object], times: int = 1) -> float:
        answer = call()
        assert isinstance(answer, float)
        return answer


def scripted(rounds: int, limit: float, **seconds: float) -> tuple[list[str], dict[str, int]]:
    """The names in the order they were called, and how many samples of each were kept."""
    order: list[str] = []

    def call(name: str) -> Callable[[], float]:
        def run() -> float:
            order.append(name)
            return seconds[name]

        return run

    calls = {name: call(name) for name in seconds}
    timings = interleaved(ScriptedDevice("cpu"), calls, rounds, limit)
    return order, {name: timing.rounds for name, timing in timings.items()}


def test_calls_are_timed_in_turns_after_a_warm_up() -> None:
    order, kept = scripted(3, 60, a=0.1, b=0.2)
    assert order == ["a", "b"] * 4
    assert kept == {"a": 3, "b": 3}


def test_a_long_first_run_is_a_measurement() -> None:
    order, kept = scripted(2, 60, a=LONG + 1, b=0.1)
    assert order == ["a", "b", "b", "a", "b"]
    assert kept == {"a": 2, "b": 2}


def test_everything_is_measured_once_when_time_is_over() -> None:
    assert scripted(9, 0, a=0.1, b=LONG + 1)[1] == {"a": 1, "b": 1}


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--parts", "vision,speed"])
    assert "unknown part speed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_gpu_machine_needs_nothing_else_of_ours() -> None:
    """Neither web framework nor object store nor codecs."""
    code = (
        "import sys, tests.benchmarks.__main__, tests.benchmarks.sam3.command;"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    others = {"litestar", "sqlalchemy", "boto3", "runpod", "httptools", "simplejpeg", "pi_heif"}
    assert not loaded & others
