"""The tables of settings name what the two programs read, and all of it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, named, text_of

README = ROOT / "README.md"
PROGRAMS = {"API": "edge_api/settings.py", "Handler": "gpu_handler/settings.py"}
BOTH = "shared/environment.py"

NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
SHORT = {"ENV", "ADAPTER", "DISPATCH", "SEGMENTER"}
"""Settings of one word, which other texts could be as well."""

ELSEWHERE = {"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
"""OpenTelemetry's own, in the table as `OTEL_*`."""


@cache
def read_by(file: str) -> set[str]:
    """The names of variables in the program's settings: every text of theirs that looks so."""
    texts = {
        node.value
        for source in (file, BOTH)
        for node in ast.walk(ast.parse((ROOT / source).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if NAME.fullmatch(text)} | (texts & SHORT)


def tables(text: str) -> list[set[str]]:
    """The names in the first column of each table whose head says `variable`."""
    found = re.findall(r"^\| variable \|.*\n\|[-| ]+\n((?:\|.*\n?)+)", text, re.MULTILINE)
    return [
        {name for row in rows.splitlines() for name in names_in(row.split("|")[1])}
        for rows in found
    ]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([A-Z][A-Z0-9_]*\*?)`", cell)


def documented(program: str) -> set[str]:
    _, _, rest = text_of(README).partition(f"**{program}** (")
    return tables(rest)[0]


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_setting_that_is_read_is_documented(program: str) -> None:
    read = read_by(PROGRAMS[program])
    assert len(read) > 20
    assert read - documented(program) - ELSEWHERE == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_setting_of_the_table_is_read_by_its_program(program: str) -> None:
    assert documented(program) - read_by(PROGRAMS[program]) == {"OTEL_*"} & documented(program)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_other_table_names_settings_of_one_of_them(page: Path) -> None:
    known = set[str]().union(*map(read_by, PROGRAMS.values()))
    told = set[str]().union(*tables(text_of(page)))
    assert {name for name in told if not name.startswith("OTEL_")} - known == set()


def test_tables_are_read_by_their_first_column() -> None:
    text = "| variable | default |\n|---|---|\n| `A_B`, `C_D` | `E_F` |\n| x | |\n\n| `G_H` | |\n"
    assert tables(text) == [{"A_B", "C_D"}]
    assert {"JWT_SECRET", "R2_ACCOUNT_ID", "LOG_LEVEL"} <= read_by(PROGRAMS["API"])
    assert {"HF_TOKEN", "ADAPTER", "ENV"} <= read_by(PROGRAMS["Handler"])
