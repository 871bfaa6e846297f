"""Relative links lead to files, anchors to headings, make targets to the Makefile."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, code, named, prose, spans, text_of

LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"(?:^|[\s(;&])make (?:[A-Z_]+=\S+ )*([a-z][a-z-]*)")
PLACE = re.compile(r"((?:[\w.-]+/)+[\w.-]+\.(?:py|md|json|yml|toml|mako))(?:::(\w+))?")

each_page = pytest.mark.parametrize("page", PAGES, ids=named)


def lost(page: Path, text: str) -> list[str]:
    """Links of `text`, as it stands in `page`, that lead nowhere."""
    found: list[str] = []
    for link in LINK.findall(prose(text)):
        place, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert lost(page, text_of(page)) == []


def test_a_link_that_leads_nowhere_is_noticed() -> None:
    text = (
        "[a](docs/none.md) [b](#none) [c](docs/security.md#none) ![d](docs/none.jpg)\n"
        "[e](docs/security.md#threats) [f](#settings) [g](https://example.com) `[h](none)`\n"
        "\n    [i](none)\n"
    )
    nowhere = ["docs/none.md", "#none", "docs/security.md#none", "docs/none.jpg"]
    assert lost(ROOT / "README.md", text) == nowhere


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


@each_page
def test_make_targets_exist(page: Path) -> None:
    asked = {target for line in code(text_of(page)) for target in MAKE.findall(line)}
    assert asked - targets() == set()


def test_a_target_is_read_out_of_code_alone() -> None:
    text = "make it so\n`make demo`, `PORT=1 make A=1 serve`\n\n    make gone   # make haste\n"
    assert [t for line in code(text) for t in MAKE.findall(line)] == ["gone", "demo", "serve"]
    assert "demo" in targets()


def missing(text: str) -> list[str]:
    """Files and tests in backticks that are not there."""
    found: list[str] = []
    for span in spans(text):
        place = PLACE.fullmatch(span)
        if place is None:
            continue
        file = ROOT / place[1]
        if not file.is_file() or (place[2] and f"def {place[2]}(" not in file.read_text("utf-8")):
            found.append(span)
    return found


@pytest.mark.parametrize("name", ["README.md", "docs/app.md", "docs/contributing.md"])
def test_files_and_tests_that_are_named_are_there(name: str) -> None:
    assert missing(text_of(ROOT / name)) == []


def test_a_file_that_is_not_there_is_noticed() -> None:
    here = "tests/docs/test_links.py"
    good = f"`{here}` `{here}::test_make_targets_exist`"
    assert missing(f"{good} `tests/none.py` `{here}::test_none`") == [
        "tests/none.py",
        f"{here}::test_none",
    ]
