"""Each alert has a page, and a page says what can be done: commands that work, lines that exist."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from edge_api.admin.parser import add_admin
from tests.infra.rules import ROOT, RUNBOOK, rules

PACKAGES = ("edge_api", "gpu_handler", "shared")
SECTIONS = (
    "What it means",
    "What users see",
    "How to look",
    "What to do",
    "When to stop worrying",
)

PAGES = sorted(path.name for path in RUNBOOK.glob("*.md") if path.name != "README.md")
each_page = pytest.mark.parametrize("page", PAGES)


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    named = {rule["annotations"]["runbook_url"] for rule in rules()}
    pages = {f"docs/runbook/{path.name}" for path in RUNBOOK.glob("*.md")}
    assert named == pages - {"docs/runbook/README.md"}
    assert len(named) == len(rules())


def test_the_list_of_pages_is_that_of_the_alerts() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\((\S+)\) \| (yes)? ?\|", index(), re.MULTILINE)
    expected = [
        (
            rule["alert"],
            Path(rule["annotations"]["runbook_url"]).name,
            "yes" if rule["labels"]["severity"] == "page" else "",
        )
        for rule in rules()
    ]
    assert listed == expected


def index() -> str:
    return (RUNBOOK / "README.md").read_text()


@each_page
def test_a_page_answers_the_five_questions(page: str) -> None:
    text = (RUNBOOK / page).read_text()
    titles = {rule["annotations"]["runbook_url"]: rule["alert"] for rule in rules()}
    assert text.startswith(f"# {titles[f'docs/runbook/{page}']}\n")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS
    assert all(
        len(part.strip()) > 20 for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    )


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", (RUNBOOK / page).read_text()):
            assert (RUNBOOK / link).exists(), f"{page}: {link}"


def commands(text: str) -> list[str]:
    """Words after `python -m edge_api admin`, in code blocks and in sentences."""
    found = re.findall(r"python -m edge_api admin ([^\n`|]+)", text)
    return [command.strip() for command in found]


@each_page
def test_operators_commands_are_understood(page: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_admin(parser)
    for command in commands((RUNBOOK / page).read_text()):
        parser.parse_args(shlex.split(command, comments=True))


def test_a_command_that_is_none_would_be_noticed() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_admin(parser)
    assert commands("x\n    python -m edge_api admin jobs look JOB | jq\n") == ["jobs look JOB"]
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parser.parse_args(["jobs", "look", "JOB"])


@pytest.fixture(scope="module")
def written() -> set[str]:
    """Every word and every string in the source of the API and the worker."""
    sources = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    return set(re.findall(r'"([^"\n]+)"', text)) | set(re.findall(r"\w+", text))


def test_lines_that_are_looked_for_are_logged(written: set[str]) -> None:
    loops = {f"{loop} failed" for loop in ("dispatch", "reconcile", "expire", "erase", "retain")}
    for page in PAGES:
        text = (RUNBOOK / page).read_text()
        assert set(re.findall(r'\.message == "([^"]+)"', text)) <= written | loops, page
        for fields in re.findall(r"\| {([a-z_, ]+)}", text):
            assert {field.strip() for field in fields.split(",")} <= written, page


def test_settings_and_codes_that_are_named_exist(written: set[str]) -> None:
    platform = {"RUNPOD_INIT_TIMEOUT"}
    for page in PAGES:
        named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", (RUNBOOK / page).read_text()))
        assert named - platform <= written, page


def test_every_reason_of_a_lost_attempt_has_its_row(written: set[str]) -> None:
    """As docs/operations.md lists them: a new one wants to be explained as well."""
    text = (RUNBOOK / "attempts-lost.md").read_text()
    rows = set(re.findall(r"`([a-z_]+)`(?=[^|]*\|)", text[text.index("| reason") :]))
    operations = (ROOT / "docs" / "operations.md").read_text()
    [listed] = re.findall(
        r"^Reasons of a lost attempt: (.*?);", operations, re.MULTILINE | re.DOTALL
    )
    assert rows == set(re.findall(r"`(\w+)`", listed))
    assert {reason.replace("_", " ") for reason in rows} - {"timed out"} <= written
