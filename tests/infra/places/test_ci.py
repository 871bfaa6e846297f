"""The workflow: what it runs exists, what it uses is pinned, what it may do is little."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
# YAML 1.1 reads the key `on` as true.
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS: list[dict[str, Any]] = [step for job in JOBS.values() for step in job["steps"]]

COMMIT = re.compile(r"[\w-]+/[\w.-]+@[0-9a-f]{40}")


def made() -> set[str]:
    """The targets that are named after `make`."""
    scripts = "\n".join(step.get("run", "") for step in STEPS)
    return set(re.findall(r"^\s*make ([a-z-]+)", scripts, re.MULTILINE))


def test_every_target_is_one_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert made() <= targets
    assert {"check", "test", "image-check", "smoke", "audit"} <= made()


def test_actions_are_pinned_by_commit_and_say_their_release() -> None:
    lines = (ROOT / ".github" / "workflows" / "ci.yml").read_text().splitlines()
    used = [line for line in lines if re.search(r"\buses:", line)]
    assert len(used) == sum("uses" in step for step in STEPS)
    for line in used:
        assert COMMIT.search(line), line
        assert re.search(r"# v\d+\.\d+\.\d+$", line), line


def test_it_may_read_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in JOBS.values())
    checkouts = [step for step in STEPS if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) == len(JOBS)
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert "secrets." not in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_what_is_overtaken_stops_and_nothing_runs_for_hours() -> None:
    assert "github.ref" in WORKFLOW["concurrency"]["group"]
    assert all(0 < job["timeout-minutes"] <= 60 for job in JOBS.values())


def test_it_builds_both_images_from_the_files_that_are_there() -> None:
    built = [step["with"] for step in STEPS if "build-push-action" in step.get("uses", "")]
    assert {one["file"] for one in built} == {"infra/Dockerfile.edge", "Dockerfile.gpu"}
    assert all((ROOT / one["file"]).is_file() for one in built)
    assert not any(one.get("push") for one in built)
    smoke = next(step["run"] for step in STEPS if "make smoke" in step.get("run", ""))
    assert all(one["tags"] in smoke for one in built)
