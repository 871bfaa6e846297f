"""The smoke test, with a process in the place of a container."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.images.rehearsal import StepFailed
from infra.images.smoke import container, smoke_api, smoke_handler
from infra.local.ports import free_port

GIVEN = json.loads((Path(__file__).resolve().parents[3] / "test_input.json").read_text())["input"]


def process(*arguments: str) -> Sequence[str]:
    """A program of ours that reads its environment from the file, as `docker run` does."""
    *rest, settings = arguments
    return ["bash", "-c", f'set -a; . "{settings}"; exec {sys.executable} -u -m {" ".join(rest)}']


def quoted(settings: Path) -> str:
    """The file's values in quotes: a shell reads `$` and `?`, docker does not."""
    lines = (line.partition("=") for line in settings.read_text().splitlines())
    copy = settings.with_name("quoted")
    copy.write_text("".join(f"{name}='{value}'\n" for name, _, value in lines))
    return str(copy)


def test_the_handler_does_a_job_of_the_emulated_runpod() -> None:
    output = smoke_handler(lambda one: process("gpu_handler.handler", quoted(one)), GIVEN)
    assert output["engine"] == "classical"
    assert [one["concept"] for one in output["instances"]] == ["Wall"]


def test_a_worker_that_ends_is_told_with_its_last_words() -> None:
    def stops(settings: Path) -> Sequence[str]:
        return ["bash", "-c", f'cut -d= -f1 "{settings}"; echo refused; exit 3']

    with pytest.raises(StepFailed, match=r"(?s)ended with 3.*STORAGE_BUCKET.*refused"):
        smoke_handler(stops, GIVEN)


def test_the_api_answers(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")

    def serve(settings: Path) -> Sequence[str]:
        with settings.open("a") as file:
            file.write(f"DATABASE_URL=sqlite:///{tmp_path}/edge.db\n")
        return process("edge_api", "serve", "--port", str(port), quoted(settings))

    assert smoke_api(serve, port) == 200


def test_a_container_gets_no_secret_on_its_command_line(tmp_path: Path) -> None:
    words = container("palette-handler:ci", "/cache")(tmp_path / "settings")
    assert words[-1] == "palette-handler:ci"
    assert "--read-only" in words
    assert words[words.index("--env-file") + 1] == str(tmp_path / "settings")
