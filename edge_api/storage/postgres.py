"""PostgreSQL through asyncpg: the same transactions, each in a greenlet on the event loop."""

import asyncio
import itertools
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar, cast

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from edge_api.storage.database import DatabaseUnavailable, Rows
from edge_api.storage.prepared import Prepared, Query

P = ParamSpec("P")
T = TypeVar("T")

_ATTEMPTS = 6
_READS = 3
_AGAIN = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, unique violation: another transaction came first, and what
this one would do now that it has committed is found out by running it again."""

_SESSION = {
    "application_name": "edge_api",
    "timezone": "UTC",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
}


_DEAD = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The server's farewell has come, and the end of the connection is about to.
    asyncpg.InternalClientError,
    ConnectionError,
)

_TROUBLE = ("08", "53", "55P03", "57")
"""Classes of SQLSTATE: connection, insufficient resources, lock not available, intervention."""


@contextmanager
def _trouble_told() -> Generator[None]:
    try:
        yield
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if error.connection_invalidated or state.startswith(_TROUBLE):
            raise DatabaseUnavailable(state or "connection lost") from error
        raise
    except asyncpg.PostgresError as error:
        state = str(getattr(error, "sqlstate", None) or "")
        if state.startswith(_TROUBLE):
            raise DatabaseUnavailable(state) from error
        raise
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnavailable("connection lost") from error
    except (OSError, PoolTimeout) as error:  # nobody listens, or all connections are taken
        raise DatabaseUnavailable(type(error).__name__) from error


class _Again(Exception):
    """The transaction may succeed when it is run again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _worth_another_try(error: DBAPIError) -> bool:
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _AGAIN


class PostgresDatabase:
    """A pool of connections; every statement that two transactions could race for is conditional
    or locks its row, so READ COMMITTED is enough for writes."""

    def __init__(self, url: URL, pool_size: int = 10) -> None:
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            # A dead connection is found out by using it, which costs no round trip beforehand.
            pool_recycle=300,
            hide_parameters=True,
            connect_args={"timeout": 5, "command_timeout": 15, "server_settings": _SESSION},
        )
        self._reads = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._prepared = Prepared(self._engine.dialect)

    async def write(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        for attempt in itertools.count(1):
            try:
                with _trouble_told():
                    return await self._write(fn, *args, **kwargs)
            except _Again as again:
                if attempt == _ATTEMPTS:
                    with _trouble_told():
                        raise again.error from again
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")

    async def _write(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        async with self._engine.connect() as connection:
            try:
                value = await connection.run_sync(fn, *args, **kwargs)
            except asyncpg.InternalClientError as error:
                raise _Again(error) from error
            except DBAPIError as error:
                # Nothing was committed, so nothing stands in the way of another try.
                if _worth_another_try(error):
                    raise _Again(error) from error
                raise
            try:
                await connection.commit()
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) in _AGAIN:
                    raise _Again(error) from error
                raise
            return value

    async def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        # Reading can always be repeated, where a connection was dead.
        with _trouble_told():
            for attempt in itertools.count(1):
                try:
                    async with self._reads.connect() as connection:
                        return await connection.run_sync(fn, *args, **kwargs)
                except asyncpg.InternalClientError:
                    if attempt == _READS:
                        raise
                except DBAPIError as error:
                    if not error.connection_invalidated or attempt == _READS:
                        raise
            raise AssertionError("unreachable")

    async def glance(self, queries: Sequence[Query], values: Mapping[str, object]) -> list[Rows]:
        statements = [self._prepared.bind(query, values) for query in queries]
        with _trouble_told():
            for attempt in itertools.count(1):
                try:
                    return await self._look(statements)
                except _DEAD:
                    if attempt == _READS:
                        raise
            raise AssertionError("unreachable")

    async def _look(self, statements: Sequence[tuple[str, list[object]]]) -> list[Rows]:
        connection = await self._engine.raw_connection()
        try:
            driver = cast("asyncpg.Connection", connection.driver_connection)
            return [await driver.fetch(text, *bound) for text, bound in statements]
        except BaseException:
            # Dead, or in the middle of an answer that nobody waits for any more.
            connection.invalidate()
            raise
        finally:
            connection.close()

    async def close(self) -> None:
        await self._engine.dispose()
