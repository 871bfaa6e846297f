"""docs/contributing.md draws the house as the contracts have it, and links every decision."""

import re
import tomllib
from textwrap import dedent

import pytest

from tests.docs.pages import ROOT, text_of

PAGE = ROOT / "docs" / "contributing.md"


def layers() -> dict[str, list[str]]:
    """Of each package that has some, by the contracts, its own name left out of theirs."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    found: dict[str, list[str]] = {}
    for contract in contracts:
        if contract["type"] == "layers":
            package = common(" | ".join(contract["layers"]).split(" | "))
            found[package] = [layer.replace(f"{package}.", "") for layer in contract["layers"]]
    return found


def common(modules: list[str]) -> str:
    """The package that all of them are in."""
    first, last = min(modules).split("."), max(modules).split(".")
    same = [part for part, other in zip(first, last, strict=False) if part == other]
    return ".".join(same)


def drawn() -> dict[str, list[str]]:
    """What the page shows: a package, and its layers indented below it."""
    block = re.search(r"\(`\|`\) not at all:\n\n((?:    .*\n|\n)+)", text_of(PAGE))
    assert block is not None
    parts = [part.splitlines() for part in dedent(block[1]).strip().split("\n\n")]
    return {package: [line.strip() for line in lines] for package, *lines in parts}


def test_the_house_is_drawn_as_the_contracts_have_it() -> None:
    assert drawn() == layers()


@pytest.mark.parametrize(
    ("modules", "package"),
    [(["a.b", "a.c.d"], "a"), (["a.b.x", "a.b.y"], "a.b"), (["a.bc", "a.bd"], "a")],
)
def test_a_package_is_told_from_its_modules(modules: list[str], package: str) -> None:
    assert common(modules) == package


def test_every_decision_is_linked_with_its_number() -> None:
    linked = dict(
        re.findall(r"^\* \[(\d+)\. [^]]+\]\(decisions/([\w.-]+)\)$", text_of(PAGE), re.MULTILINE)
    )
    pages = {path.name for path in (ROOT / "docs" / "decisions").glob("*.md")}
    assert set(linked.values()) == pages
    assert all(name.startswith(f"{int(number):04}-") for number, name in linked.items())
