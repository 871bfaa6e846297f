"""docs/security.md names what is there: a defence or a test that went away is missed here."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from msgspec import Struct

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "security.md"

FILE = re.compile(r"(?:[\w.-]+/)+[\w.-]+\.(?:py|md)")
TEST = re.compile(r"(?P<file>tests/[\w/]+\.py)::(?P<name>test_\w+)")

ASKED_FOR = [
    "stolen", "forged or damaged token", "expired", "algorithm", "weak secrets",
    "forged callback", "replayed", "late", "attempt that was replaced", "another user's jobs",
    "another user's objects", "image_url", "redirect", "stranger", "object keys", "hostile images",
    "huge or compressed body", "head", "nul", "free credits", "without end", "swapped", "logs",
    "/metrics", "browser", "/docs", "x-forwarded-for", "erased account", "idempotency-key",
    "admin", "database that drifts",
]  # fmt: skip


class Row(Struct, frozen=True):
    """`stops` and `tests` are what stands in backticks in those columns."""

    threat: str
    stops: list[str]
    tests: list[str]


def rows() -> list[Row]:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|")]
    head, rule, *body = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    assert head == ["threat", "what stops it", "test"]
    assert set("".join(rule)) <= {"-", "|"}
    assert all(len(cells) == 3 for cells in body), "a row has another number of columns"
    return [Row(threat, _quoted(stops), _quoted(tests)) for threat, stops, tests in body]


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.threat[:60])
def test_every_threat_has_a_defence_and_a_test_that_are_there(row: Row) -> None:
    files = [name for name in row.stops if FILE.fullmatch(name)]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert any(name.endswith(".py") for name in files), "no file is named"
    assert row.tests, "no test is named"
    for named in row.tests:
        found = TEST.fullmatch(named)
        assert found is not None, f"not a test: {named}"
        assert (ROOT / found["file"]).is_file(), named
        assert found["name"] in functions(found["file"]), named


@pytest.mark.parametrize("words", ASKED_FOR)
def test_no_threat_is_forgotten(words: str) -> None:
    assert any(words in row.threat.lower() for row in rows())


def test_every_test_of_this_folder_s_files_has_a_row() -> None:
    named = {test.partition("::")[0] for row in rows() for test in row.tests}
    here = {f"tests/security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert here - named == {"tests/security/test_table.py"}
