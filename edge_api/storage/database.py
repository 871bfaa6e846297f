"""Runs a transaction, which is a plain function of a connection, off the event loop."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseUnavailable(Exception):
    """The database cannot be reached, is full or too busy: not the transaction's fault."""


class Database(Protocol):
    """`fn` runs whole in one transaction; no await can stand inside it.

    It may run again from the start where the database asks for that, so it changes nothing but
    rows. Both methods raise DatabaseUnavailable besides what `fn` raises.
    """

    async def write(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn` and commit, or roll back what it did when it raises."""
        ...

    async def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn` on one snapshot; what it writes is rolled back or refused."""
        ...

    async def glance(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn`, which only reads, without a transaction where that is cheaper: each of its
        statements may see a later moment than the one before."""
        ...

    async def close(self) -> None: ...
