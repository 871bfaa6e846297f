"""SQLite: one file, one writer at a time, readers beside it (WAL)."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy import Connection, PoolProxiedConnection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from edge_api.storage.database import DatabaseUnavailable, Rows
from edge_api.storage.prepared import Prepared, Query

P = ParamSpec("P")
T = TypeVar("T")


class SqliteDatabase:
    """One thread writes, a few read. Several processes may share the file."""

    def __init__(self, url: URL, readers: int = 3) -> None:
        # Parameters hold device hashes, which open accounts: no error text may repeat them.
        self._engine = create_engine(
            url, pool_size=readers + 1, max_overflow=0, hide_parameters=True
        )
        self._prepared = Prepared(self._engine.dialect)
        self._opening = threading.Lock()
        self._glancing: sqlite3.Connection | None = None
        self._reads = self._engine.execution_options(read_only=True)
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = ThreadPoolExecutor(readers, "sqlite-reader")
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)

    async def write(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        # The context carries the job's ids into the log lines of the thread.
        def run() -> T:
            with _trouble_told(), self._engine.begin() as connection:
                return fn(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(
            self._writer, copy_context().run, run
        )

    async def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def run() -> T:
            with _trouble_told(), self._reads.connect() as connection:
                return fn(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(
            self._readers, copy_context().run, run
        )

    async def glance(self, queries: Sequence[Query], values: Mapping[str, object]) -> list[Rows]:
        statements = [self._prepared.bind(query, values) for query in queries]
        if self._glancing is not None:
            # On the event loop: a few rows by their key take less than the way to a thread, and
            # with WAL no writer stands in a reader's way.
            with suppress(sqlite3.OperationalError):
                return _look(self._glancing, statements)
        run = partial(self._glance, statements)
        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    def _glance(self, statements: Sequence[tuple[str, list[object]]]) -> list[Rows]:
        """Whatever was in the way, a thread can wait for it."""
        with _trouble_told(), closing(self._engine.raw_connection()) as connection:
            with self._opening:
                if self._glancing is None:
                    own = self._engine.raw_connection()
                    driver = _driver(own)
                    own.detach()
                    driver.execute("PRAGMA busy_timeout=0")
                    self._glancing = driver
            return _look(_driver(connection), statements)

    async def close(self) -> None:
        """Let running transactions end, then close every connection."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        if self._glancing is not None:
            self._glancing.close()
        self._engine.dispose()


def _driver(connection: PoolProxiedConnection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.driver_connection)


def _look(
    connection: sqlite3.Connection, statements: Sequence[tuple[str, list[object]]]
) -> list[Rows]:
    return [connection.execute(text, bound).fetchall() for text, bound in statements]


_TROUBLE = ("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")


@contextmanager
def _trouble_told() -> Generator[None]:
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        origin = error.orig if isinstance(error, OperationalError) else error
        name = str(getattr(origin, "sqlite_errorname", ""))
        if name.startswith(_TROUBLE):
            raise DatabaseUnavailable(name) from error
        raise


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    # Autocommit in the driver: `_begin` alone decides how a transaction starts.
    connection.isolation_level = None
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA busy_timeout=5000; PRAGMA foreign_keys=ON;"
    )


def _begin(connection: Connection) -> None:
    # A deferred BEGIN that reads first fails with "database is locked" on its first write.
    read_only = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
