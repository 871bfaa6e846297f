"""Every `python -m` of the pages can be found, and takes the words and options that are named."""

import contextlib
import importlib
import importlib.util
import inspect
import io
import re
import shlex
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, code, named, text_of

COMMAND = re.compile(r"python3?(?: -[a-z])* -m ([\w.]+)([^|>;&)]*)")

EXPLAINED = {
    "edge_api", "gpu_handler.check", "infra", "infra.demo", "infra.gallery", "infra.images",
    "infra.local", "infra.terraform", "tests.chaos", "tests.fuzz", "tests.mutants",
}  # fmt: skip
"""They take --help, after any of their words. The others have no parser, or bring torch along:
nothing of them is called, and an option of theirs is looked for in their source."""

Command = tuple[str, ...]
"""A module, then its words."""


@cache
def commands() -> dict[Command, str]:
    """Each command with one of the pages that name it."""
    found: dict[Command, str] = {}
    for page in PAGES:
        for line in code(text_of(page)):
            found |= {command: named(page) for command in read(line)}
    return found


def read(line: str) -> list[Command]:
    return [(module, *shlex.split(rest)) for module, rest in COMMAND.findall(line)]


def explanation(module: str, *words: str) -> str:
    """What --help says after these words; an AssertionError where one of them is not known."""
    told, complaint = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(complaint):
        try:
            code = _main(module)([*words, "--help"])
        except SystemExit as end:
            code = end.code
    assert not code, complaint.getvalue()
    return told.getvalue()


@cache
def _main(module: str) -> Callable[[list[str]], object]:
    package = importlib.util.find_spec(f"{module}.__main__") if _is_package(module) else None
    main = importlib.import_module(package.name if package else module).main
    if inspect.signature(main).parameters:
        return main

    def call(words: list[str]) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [module, *words])
            return main()

    return call


def _is_package(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def check(module: str, *words: str) -> None:
    """Raises AssertionError where the module has no such word or option."""
    if module not in EXPLAINED:
        unknown = [word for word in words if word.startswith("--") and word not in source(module)]
        assert unknown == [], f"{module} has no {unknown}"
        return
    explanation(module, *words)
    for index, word in enumerate(words):
        if word.startswith("--"):
            name = word.partition("=")[0]
            known = re.findall(r"--[a-z-]+", explanation(module, *words[:index]))
            assert name in known, f"{module} has no {name}"


def source(module: str) -> str:
    """Of the module, or of all that is in the package."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None or spec.submodule_search_locations
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    files = files or [Path(str(spec.origin))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_can_be_typed(command: Command) -> None:
    module, *words = command
    assert importlib.util.find_spec(module) is not None, commands()[command]
    check(module, *words)


def test_commands_are_read_with_what_belongs_to_them() -> None:
    assert read("python -m edge_api admin ledger || echo no") == [("edge_api", "admin", "ledger")]
    assert read("X=1 .venv/bin/python -u -m a.b --c 'd e'") == [("a.b", "--c", "d e")]
    assert ("edge_api", "serve", "--workers", "2") in commands()


@pytest.mark.parametrize(
    "command",
    [
        ("edge_api", "sreve"),
        ("edge_api", "serve", "--wrokers", "2"),
        ("edge_api", "admin", "jobs", "look", "JOB"),
        ("infra", "deplyo"),
        ("infra", "deploy", "--flie", "x", "plan"),
        ("infra", "deploy", "scale", "--to-one"),
        ("gpu_handler.segment.sam3.prepare", "--outptu", "x"),
        ("tests.benchmarks", "sam3", "--szie", "full"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_none_is_noticed(command: Command) -> None:
    with pytest.raises(AssertionError):
        check(*command)
