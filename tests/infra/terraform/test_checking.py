"""Checking with the real program where there is one, and saying so where there is none."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest

from edge_api.settings import Settings as ApiSettings
from gpu_handler.settings import Settings as WorkerSettings
from infra.terraform.__main__ import main
from infra.terraform.checking import (
    FOLDER,
    PROVIDERLESS,
    Outcome,
    check_format,
    check_logic,
    copied,
)

TERRAFORM = shutil.which("terraform")
NEEDED = pytest.mark.skipif(TERRAFORM is None, reason="terraform is not installed")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """To be spoilt."""
    return shutil.copytree(FOLDER, tmp_path / "terraform")


def spoil(path: Path, old: str, new: str) -> None:
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))


def test_without_terraform_everything_is_skipped_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["format", "logic", "providers"]
    assert all(line.endswith("skipped: terraform is not installed") for line in said)


@NEEDED
def test_the_configuration_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out


@NEEDED
def test_what_is_not_formatted_is_found(copy: Path) -> None:
    assert TERRAFORM is not None
    spoil(copy / "locals.tf", "day = 24", "day   = 24")
    finding = check_format(copy, TERRAFORM)
    assert finding.outcome is Outcome.FAILED
    assert "locals.tf" in finding.text


@NEEDED
def test_a_rule_that_is_gone_is_found(copy: Path) -> None:
    assert TERRAFORM is not None
    checks = copy / "checks" / "deployment.tftest.hcl"
    runs = checks.read_text().split("\nrun ")
    wanted = [run for run in runs if run.startswith('"each_variable')]
    checks.write_text("\nrun ".join(runs[:1] + wanted))
    assert check_logic(copy, TERRAFORM).outcome is Outcome.PASSED
    spoil(copy / "variables.tf", '!endswith(var.image, ":latest")', "true || var.image == null")
    finding = check_logic(copy, TERRAFORM)
    assert finding.outcome is Outcome.FAILED
    assert "var.image" in finding.text


@NEEDED
def test_api_and_worker_start_with_what_is_decided(tmp_path: Path) -> None:
    """Their own settings read the environment; a value stands in for every secret."""
    decided = decide(FOLDER / "example.tfvars")
    secret = "0123456789abcdefghijklmnopqrstuvwxyz"
    given = {
        name: secret if value.startswith("{{") else value
        for name, value in decided["worker_environment"].items()
    }
    worker = WorkerSettings.from_env(given)
    assert worker.hf_token == secret
    rest = {
        "ENV": "production",
        "JWT_SECRET": secret[::-1],
        "GPU_CALLBACK_SECRET": secret,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'edge.db'}",
        "R2_ACCESS_KEY_ID": "id",
        "R2_SECRET_ACCESS_KEY": "key",
        "RUNPOD_API_KEY": "key",
        "RUNPOD_ENDPOINT_ID": "endpoint",
    }
    api = ApiSettings.from_env(decided["api_environment"] | rest)
    assert api.storage_endpoint == worker.storage_s3_endpoint
    assert api.storage_bucket == worker.storage_bucket
    assert api.public_url.removeprefix("https://") in worker.callback_allowed_hosts
    assert api.cors_origins == ("https://app.example.com",)


def decide(variables: Path) -> dict[str, dict[str, str]]:
    """The outputs of the part that needs no provider."""
    assert TERRAFORM is not None
    with copied(FOLDER, *PROVIDERLESS, "checks/*.tf") as folder:
        for command in (
            ["init", "-backend=false"],
            ["apply", "-auto-approve", f"-var-file={variables}"],
        ):
            subprocess.run([TERRAFORM, *command], cwd=folder, check=True, capture_output=True)
        command = [TERRAFORM, "output", "-json"]
        said = subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout
    outputs = cast(dict[str, dict[str, dict[str, str]]], json.loads(said))
    return {name: output["value"] for name, output in outputs.items()}
