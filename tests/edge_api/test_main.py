"""The command line; `serve` runs in test_logs.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.store import ServedStore
from tests.edge_api.service import environment


def run(folder: Path, command: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_api", command],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())} | environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [("serve", "JWT_SECRET", "canary-short"), ("migrate", "LOG_LEVEL", "loud")],
)
def test_a_setting_that_does_not_fit_stops_the_process_with_one_line(
    tmp_path: Path, store: ServedStore, command: str, name: str, value: str
) -> None:
    environ = environment(store, f"sqlite:///{tmp_path}/edge.db")
    ended = run(tmp_path, command, environ | {name: value})
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert name in line
    assert "canary" not in line
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_migrate_makes_the_database_and_exits(tmp_path: Path, store: ServedStore) -> None:
    ended = run(tmp_path, "migrate", environment(store, f"sqlite:///{tmp_path}/edge.db"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "edge.db").stat().st_size > 0
