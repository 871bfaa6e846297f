"""What calls take, each beside a ceiling or a rival measured in the same run, in turns.

`python -m tests.benchmarks api --database both --postgres-url postgresql://…  --processes 1,2`
"""

import argparse
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from tests.benchmarks.api_reading import reading
from tests.benchmarks.api_signing import signing
from tests.benchmarks.api_users import visiting
from tests.postgres import run_postgres

TABLES: dict[str, Callable[[str, str, Sequence[int]], None]] = {
    "reading": reading,
    "signing": signing,
    "users": visiting,
}
"""Each takes the database's name for its title, its URL, and numbers of API processes."""


def run(arguments: Sequence[str] = ()) -> None:
    """Print the tables asked for, on each database."""
    options = _parser().parse_args(arguments)
    names = ["sqlite", "postgresql"] if options.database == "both" else [options.database]
    processes = [int(count) for count in options.processes.split(",")]
    for name in names:
        with _database(name, options.postgres_url) as url:
            for table in options.tables.split(","):
                TABLES[table](name, url, processes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks api")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="sqlite")
    parser.add_argument("--postgres-url", help="an empty database; one is started without it")
    parser.add_argument("--processes", default="1,2", help="numbers of API processes")
    parser.add_argument("--tables", default=",".join(TABLES))
    return parser


@contextmanager
def _database(name: str, postgres_url: str | None) -> Generator[str]:
    if name == "postgresql" and postgres_url:
        yield postgres_url
    elif name == "postgresql":
        with run_postgres(durable=True) as server:
            yield server.create()
    else:
        with TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/edge.db"
