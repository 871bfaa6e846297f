"""Looks at the configuration with as much of Terraform as there is."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

FOLDER = Path(__file__).parent

PROVIDERLESS = ("variables.tf", "locals.tf")
"""What the checks run: everything that is decided before a provider has a part in it."""

PATIENCE = 300.0
"""Seconds for one command; fetching providers is the longest."""


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """`text` is what Terraform said, or why a step was left out."""

    step: str
    outcome: Outcome
    text: str = ""


def check(folder: Path, program: str | None, *, providers: bool) -> list[Finding]:
    """Every step, whatever came of the others. `program` is None where Terraform is absent.

    `providers` fetches them and has the whole configuration validated.
    """
    if program is None:
        absent = "terraform is not installed"
        return [Finding(step, Outcome.SKIPPED, absent) for step in ("format", "logic", "providers")]
    return [
        check_format(folder, program),
        check_logic(folder, program),
        check_providers(folder, program)
        if providers
        else Finding("providers", Outcome.SKIPPED, "not asked for: PROVIDERS=1 fetches them"),
    ]


def check_format(folder: Path, program: str) -> Finding:
    return _run("format", folder, [program, "fmt", "-check", "-recursive", "-diff", "."])


def check_logic(folder: Path, program: str) -> Finding:
    """Run checks/*.tftest.hcl over the part that needs no provider, on a copy of it."""
    with copied(folder, *PROVIDERLESS, "checks/*") as copy:
        return _run("logic", copy, [program, "init", "-backend=false"], [program, "test"])


def check_providers(folder: Path, program: str) -> Finding:
    """Validate everything against the providers' own schemas. Needs their registry."""
    with copied(folder, "*.tf") as copy:
        init = [program, "init", "-backend=false", "-input=false"]
        return _run("providers", copy, init, [program, "validate"])


@contextmanager
def copied(folder: Path, *patterns: str) -> Generator[Path]:
    """Terraform writes beside what it reads: into a copy, so that nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="terraform-") as name:
        for pattern in patterns:
            for path in folder.glob(pattern):
                shutil.copy(path, name)
        yield Path(name)


def _run(step: str, folder: Path, *commands: list[str]) -> Finding:
    # No question to HashiCorp whether there is a newer version, no colours in a log.
    environment = os.environ | {"CHECKPOINT_DISABLE": "1", "TF_CLI_ARGS": "-no-color"}
    said = ""
    for command in commands:
        done = subprocess.run(  # noqa: S603 - the program that PATH names
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        said = done.stdout + done.stderr
        if done.returncode:
            return Finding(step, Outcome.FAILED, said)
    return Finding(step, Outcome.PASSED, said)
