"""`python -m tests.chaos`: a campaign of kills and other faults against the whole stack.

Prints what held and one Markdown row; ends with 1 where anything did not hold.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.campaign import run
from tests.chaos.plan import Plan
from tests.postgres import run_postgres


def main() -> int:
    options = _parser().parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    with _database(options) as url:
        report = run(_plan(options, url), folder)
    print(report.text())
    if report.held and options.keep is None:
        shutil.rmtree(folder)
    else:
        print(f"\nthe logs are in {folder}/stack/logs")
    return 0 if report.held else 1


@contextmanager
def _database(options: argparse.Namespace) -> Generator[str | None]:
    """The address of an empty PostgreSQL database; None for SQLite."""
    if options.database == "sqlite":
        yield None
        return
    with run_postgres() as server:
        yield server.create()


def _plan(options: argparse.Namespace, database_url: str | None) -> Plan:
    return Plan(
        jobs=options.jobs,
        items=options.items,
        kills=options.kills,
        seed=options.seed,
        database_url=database_url,
        processes=options.processes,
        workers=options.workers,
        customers=options.customers,
        minutes=options.minutes,
        settle=options.settle,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--processes", type=int, default=2, help="of the API")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--customers", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=60.0, help="of storm, at most")
    parser.add_argument("--settle", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work here and leave it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
