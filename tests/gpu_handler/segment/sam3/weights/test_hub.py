"""Fetching weights from a hub, and what is said when it refuses."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_handler.segment.sam3.weights.checkpoint import (
    CheckpointError,
    fetch_checkpoint,
    find_checkpoint,
)
from gpu_handler.segment.sam3.weights.refusals import (
    HubUnreachable,
    RepositoryGated,
    RepositoryMissing,
    WeightsMissing,
    WrongArchitecture,
)
from tests.gpu_handler.segment.sam3.hub_double import COMMIT, Hub, hub_of
from tests.gpu_handler.segment.sam3.weights_on_disk import BYTES, safetensors, write_folder

SAM3 = "facebook/sam3"
FILES = {
    "config.json": b'{"model_type": "sam3"}',
    "model.safetensors": safetensors(),
    "tokenizer.json": b"{}",
    "merges.txt": b"",
    "sam3.pt": b"never asked for",
    "README.md": b"neither",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_of(FILES) as hub:
        yield hub


def test_a_download_is_found_again_without_the_hub(
    hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fetched = fetch_checkpoint(SAM3, tmp_path, "hf_token", endpoint=hub.endpoint)

    assert fetched.path == tmp_path / "models--facebook--sam3" / "snapshots" / COMMIT
    assert fetched.parameter_bytes == BYTES
    assert find_checkpoint(SAM3, tmp_path, runpod_cache=tmp_path / "none") == fetched
    assert set(hub.tokens) == {"Bearer hf_token"}
    assert capfd.readouterr() == ("", "")


def test_only_what_is_read_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    fetched = fetch_checkpoint(SAM3, tmp_path, None, endpoint=hub.endpoint)

    names = {file.name for file in fetched.path.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "merges.txt"}
    assert not any(path.endswith("sam3.pt") for path in hub.asked)
    assert set(hub.tokens) == {None}


def test_what_is_there_already_needs_no_hub(hub: Hub, tmp_path: Path) -> None:
    first = fetch_checkpoint(SAM3, tmp_path, None, endpoint=hub.endpoint)
    hub.refuses = (401, "GatedRepo")

    assert fetch_checkpoint(SAM3, tmp_path, None, endpoint=hub.endpoint) == first


@pytest.mark.parametrize(
    ("status", "code", "token", "error", "says"),
    [
        (401, "GatedRepo", None, RepositoryGated, "is gated: set HF_TOKEN to a token of an"),
        (403, "GatedRepo", "hf_x", RepositoryGated, "HF_TOKEN was not granted access"),
        (403, "", "hf_x", RepositoryGated, "HF_TOKEN was not granted access"),
        (404, "RepoNotFound", None, RepositoryMissing, "is not on the hub: check the name"),
        (401, "RepoNotFound", None, RepositoryMissing, "or private: check the name, or set HF"),
        (401, "", "hf_x", RepositoryMissing, "is not shown to the account of HF_TOKEN"),
        (500, "", "hf_x", HubUnreachable, "could not be fetched from the hub (status 500)"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    hub: Hub,
    tmp_path: Path,
    status: int,
    code: str,
    token: str | None,
    error: type[CheckpointError],
    says: str,
) -> None:
    hub.refuses = (status, code)

    with pytest.raises(error) as refused:
        fetch_checkpoint(SAM3, tmp_path, token, endpoint=hub.endpoint)

    assert str(refused.value).startswith("facebook/sam3 ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert token is None or token not in str(refused.value)


def test_a_hub_that_refuses_connections_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]

    with pytest.raises(HubUnreachable, match=r"could not be fetched .*ConnectError"):
        fetch_checkpoint(SAM3, tmp_path, None, endpoint=f"http://127.0.0.1:{port}")


def test_a_body_that_breaks_off_is_never_taken_for_the_weights(hub: Hub, tmp_path: Path) -> None:
    hub.cuts = "model.safetensors"

    with pytest.raises(CheckpointError):
        fetch_checkpoint(SAM3, tmp_path, None, endpoint=hub.endpoint)
    with pytest.raises(CheckpointError, match="the download broke off"):
        find_checkpoint(SAM3, tmp_path, runpod_cache=tmp_path / "none")

    hub.cuts = None
    assert fetch_checkpoint(SAM3, tmp_path, None, endpoint=hub.endpoint).parameter_bytes == BYTES


def test_a_repository_without_safetensors_is_refused(tmp_path: Path) -> None:
    meta_only = {"config.json": FILES["config.json"], "sam3.pt": b"pickle"}
    with (
        hub_of(meta_only) as hub,
        pytest.raises(CheckpointError, match=r"no model\.safetensors: .* or there is none"),
    ):
        fetch_checkpoint(SAM3, tmp_path, None, endpoint=hub.endpoint)


def test_a_repository_of_another_model_is_refused(tmp_path: Path) -> None:
    with (
        hub_of(FILES | {"config.json": b'{"model_type": "sam2_video"}'}) as hub,
        pytest.raises(WrongArchitecture, match="'sam2_video', not sam3 or sam3_video"),
    ):
        fetch_checkpoint(SAM3, tmp_path, None, endpoint=hub.endpoint)


def test_a_folder_is_opened_and_not_fetched(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine")
    assert fetch_checkpoint(str(folder), tmp_path, None).path == folder


@pytest.mark.parametrize("model", ["/models/typo", "a/b/c", "../up", "facebook/..", "a b", "x\0y"])
def test_what_is_neither_folder_nor_id_is_never_asked_for(model: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="neither a folder nor the id"):
        fetch_checkpoint(model, tmp_path, None)


def test_an_offline_hub_says_so(tmp_path: Path) -> None:
    # huggingface_hub reads the variable once, when it is imported.
    code = (
        "import sys, pathlib\n"
        "from gpu_handler.segment.sam3.weights.checkpoint import *\n"
        "try: fetch_checkpoint('facebook/sam3', pathlib.Path(sys.argv[1]), None)\n"
        "except CheckpointError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (
        ran.stdout == f"facebook/sam3 is not in {tmp_path}, and HF_HUB_OFFLINE forbids to fetch\n"
    )
    assert ran.stderr == ""
