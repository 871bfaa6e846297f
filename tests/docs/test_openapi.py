"""docs/openapi.json, for those who generate a client, is what the service serves."""

from pathlib import Path

import pytest
from litestar import Litestar

from edge_api.__main__ import main
from edge_api.openapi import FILE, render
from tests.docs.pages import ROOT
from tests.edge_api.service import Service

HINT = "docs/openapi.json is not what the service serves: run `make openapi`, look at what changed"


def test_the_file_is_what_the_service_serves(shared_service: Service) -> None:
    kept = (ROOT / FILE).read_text(encoding="utf-8")
    app = shared_service.api.app  # pyright: ignore
    assert isinstance(app, Litestar)
    assert kept == render(app), HINT


def test_the_command_writes_the_same_file_without_any_setting(tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    assert main(["openapi", str(path)]) == 0
    assert path.read_bytes() == (ROOT / FILE).read_bytes(), HINT


def test_another_file_is_told_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "openapi.json"
    path.write_text("{}\n")
    assert main(["openapi", "--check", str(path)]) == 1
    assert "make openapi" in capsys.readouterr().err
    assert path.read_text() == "{}\n"
