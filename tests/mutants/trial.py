"""One run of some tests in a copy of the tree, and what became of each of them."""

import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from msgspec import Struct

from tests.mutants.tree import Tree

PASSED, FAILED = 0, 1
"""Exit codes of pytest; every other is a run that came to nothing."""

_ASSERTIONS = ("AssertionError", "assert ", "Failed: DID NOT RAISE")
_BROKEN = ("ImportError", "ModuleNotFoundError", "SyntaxError", "NameError", "UnboundLocalError")
"""What says that a mutation broke the code instead of taking something away from it."""


class Spoiled(Exception):
    """What was run tells nothing about a defence."""


class Failure(Struct, frozen=True):
    """`test` is pytest's id, `message` the first line of what was raised."""

    test: str
    message: str

    @property
    def asserted(self) -> bool:
        """An assertion of the test, and not an exception that the code or the test ran into."""
        return self.message.startswith(_ASSERTIONS)


class Trial(Struct, frozen=True):
    ran: int
    failures: list[Failure]
    seconds: float

    def noticed(self, expected: str) -> list[Failure]:
        """What failed in that file or test."""
        return [failure for failure in self.failures if _within(failure.test, expected)]


def _within(test: str, expected: str) -> bool:
    return test == expected or test.startswith((f"{expected}[", f"{expected}::"))


def run_tests(tree: Tree, tests: Sequence[str]) -> Trial:
    """Run files or functions in the copy.

    Raises Spoiled where they cannot be collected, where something of ours was not imported from
    the copy, and where the code is broken.
    """
    report = tree.folder / "report.xml"
    began = time.monotonic()
    done = tree.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-p", "tests.mutants.laboratory", "--hypothesis-profile=laboratory"),
        *("--hypothesis-seed=1", "--tb=short", f"--junitxml={report}"),
        *("-o", "junit_family=xunit1", *tests),
    )
    seconds = time.monotonic() - began
    if done.returncode not in {PASSED, FAILED}:
        raise Spoiled((done.stdout + done.stderr)[-2000:])
    return _read(report, seconds)


def _read(report: Path, seconds: float) -> Trial:
    cases = list(ElementTree.parse(report).iter("testcase"))
    report.unlink()
    failures = [_failure(case, found) for case in cases for found in case if found.tag == "failure"]
    for failure in failures:
        if failure.message.startswith(_BROKEN):
            raise Spoiled(f"{failure.test}: {failure.message}")
    return Trial(len(cases), failures, seconds)


def _failure(case: ElementTree.Element, found: ElementTree.Element) -> Failure:
    message = found.get("message", "")
    name = f"{case.get('file')}::{case.get('name')}"
    return Failure(name, message.partition("\n")[0])
