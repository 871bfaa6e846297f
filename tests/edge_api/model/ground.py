"""What the model stands on: one connection to one database, emptied between examples."""

import logging
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

import psycopg
from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.pool import StaticPool

from edge_api.storage import tables

P = ParamSpec("P")
T = TypeVar("T")

_TABLES = [table.name for table in reversed(tables.metadata.sorted_tables)]


class Ground:
    """One connection for all examples, which remembers the statements that it has compiled."""

    def __init__(self, connection: Connection, reading: Connection | None = None) -> None:
        """`reading` is a connection that needs no BEGIN and COMMIT around each query."""
        self._connection = connection
        self._reading = reading
        self.postgres = connection.dialect.name == "postgresql"

    def commit(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one transaction; whatever it raises rolls it back."""
        with self._connection.begin():
            try:
                return fn(self._connection, *args, **kwargs)
            except Exception:
                self._undo()
                raise

    def _undo(self) -> None:
        # psycopg's own rollback forgets every prepared statement, and many calls are refused.
        driver = self._connection.connection.driver_connection
        if isinstance(driver, psycopg.Connection):
            driver.pgconn.exec_(b"ROLLBACK")

    def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What was committed."""
        if self._reading is None:
            return self.commit(fn, *args, **kwargs)
        return fn(self._reading, *args, **kwargs)

    def clear(self) -> None:
        """Delete every row."""
        self.commit(self._clear)

    def _clear(self, connection: Connection) -> None:
        if self.postgres:
            # Nothing vacuums here, and what DELETE leaves behind would be read ever after.
            connection.exec_driver_sql(f"TRUNCATE {', '.join(_TABLES)}")
            return
        for table in _TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")


@contextmanager
def on_sqlite() -> Generator[Ground]:
    """A database in memory, with the transactions and foreign keys of the service's own."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    tables.metadata.create_all(engine)
    with _silence(), engine.connect() as connection:
        yield Ground(connection)
    engine.dispose()


@contextmanager
def on_postgres(url: str) -> Generator[Ground]:
    """A migrated database on a running server, through its socket: there are many round trips."""
    engine = create_engine(_through_socket(url), pool_size=2)
    reads = engine.execution_options(isolation_level="AUTOCOMMIT")
    with _silence(), engine.connect() as connection, reads.connect() as reading:
        with connection.begin():
            connection.exec_driver_sql("SET synchronous_commit = off")
        yield Ground(connection, reading)
    engine.dispose()


def _through_socket(url: str) -> URL:
    with psycopg.connect(url) as connection:
        shown = connection.execute("SHOW unix_socket_directories").fetchone()
    assert shown is not None
    address = make_url(url)
    query = {"host": str(shown[0]), "port": str(address.port)}
    driver, name = "postgresql+psycopg", address.database
    return URL.create(driver, address.username, database=name, query=query)


@contextmanager
def _silence() -> Generator[None]:
    """Thousands of lines about lost attempts help nobody."""
    logger = logging.getLogger("edge_api")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
