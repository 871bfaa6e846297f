"""PostgreSQL through asyncpg: the same transactions, each in a greenlet on the event loop."""

import asyncio
import itertools
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from edge_api.storage.database import DatabaseUnavailable

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
    except (OSError, PoolTimeout) as error:  # nobody listens, or all connections are taken
        raise DatabaseUnavailable(type(error).__name__) from error


class _Again(Exception):
    """The transaction may succeed when it is run again."""

    def __init__(self, error: DBAPIError) -> None:
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
        # Two round trips less, which is half of what a poll takes.
        self._glances = self._engine.execution_options(isolation_level="AUTOCOMMIT")

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
        return await self._read(self._reads, lambda c: fn(c, *args, **kwargs))

    async def glance(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._read(self._glances, lambda c: fn(c, *args, **kwargs))

    async def _read(self, engine: AsyncEngine, fn: Callable[[Connection], T]) -> T:
        """Reading again where a connection was dead: it can always be repeated."""
        with _trouble_told():
            for attempt in itertools.count(1):
                try:
                    async with engine.connect() as connection:
                        return await connection.run_sync(fn)
                except DBAPIError as error:
                    if not error.connection_invalidated or attempt == _READS:
                        raise
            raise AssertionError("unreachable")

    async def close(self) -> None:
        await self._engine.dispose()
