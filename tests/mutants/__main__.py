"""`python -m tests.mutants`: take each defence away in turn; the tests must notice every time.

Prints a table and ends with 1 where a defence was missed by nobody. The tests run in a copy of the
tree, with this interpreter.
"""

import argparse
import sys

from tests.mutants.catalogue import DEFENCES
from tests.mutants.defence import Defence, DefenceMoved
from tests.mutants.tree import Tree, copied_tree
from tests.mutants.trial import Spoiled, Trial, run_tests


def main() -> int:
    chosen = _choose(_parser().parse_args().only)
    with copied_tree() as tree:
        try:
            _check_whole(tree, chosen)
            survivors = [defence.name for defence in chosen if not _try(tree, defence)]
        except (DefenceMoved, Spoiled) as error:
            print(error, file=sys.stderr)
            return 1
    if survivors:
        print(f"\nnobody misses: {', '.join(survivors)}")
    return 1 if survivors else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    names = [defence.name for defence in DEFENCES]
    parser.add_argument("--only", action="append", metavar="NAME", choices=names)
    return parser


def _choose(names: list[str] | None) -> list[Defence]:
    return [defence for defence in DEFENCES if names is None or defence.name in names]


def _check_whole(tree: Tree, defences: list[Defence]) -> None:
    """With every defence in its place the same tests pass. Raises Spoiled."""
    tests = sorted({test for defence in defences for test in defence.noticed_by})
    whole = run_tests(tree, tests)
    if whole.failures:
        failed = "\n".join(f"{f.test}: {f.message}" for f in whole.failures)
        raise Spoiled(f"these fail with every defence in its place:\n{failed}")
    print(f"with every defence: {whole.ran} tests pass in {whole.seconds:.0f} s\n")
    print("| defence | removed in | noticed by | seconds |\n|---|---|---|---|", flush=True)


def _try(tree: Tree, defence: Defence) -> bool:
    """Whether all tests that ought to notice did, one of them at least by an assertion."""
    with tree.without(defence):
        trial = run_tests(tree, defence.noticed_by)
    noticed = "<br>".join(_cell(trial, test) for test in defence.noticed_by)
    row = (defence.name, f"`{defence.file}`", noticed, f"{trial.seconds:.0f}")
    print(f"| {' | '.join(row)} |", flush=True)
    by_all = all(trial.noticed(test) for test in defence.noticed_by)
    return by_all and any(failure.asserted for failure in trial.failures)


def _cell(trial: Trial, test: str) -> str:
    """The test and how many of its cases failed by an assertion and how many otherwise."""
    failures = trial.noticed(test)
    asserted = sum(failure.asserted for failure in failures)
    others = len(failures) - asserted
    counts = [str(asserted)] if asserted else []
    counts += [f"{others} raised"] if others else []
    return f"`{test.removeprefix('tests/')}` ({', '.join(counts) or '**nothing**'})"


if __name__ == "__main__":
    sys.exit(main())
