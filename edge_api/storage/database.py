"""Runs a transaction, which is a plain function of a connection, off the event loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from edge_api.storage.prepared import Query

P = ParamSpec("P")
T = TypeVar("T")

Rows = Sequence[Sequence[object]]


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

    async def glance(self, queries: Sequence[Query], values: Mapping[str, object]) -> list[Rows]:
        """The rows of each query as the driver gives them.

        For what is asked all day, since this takes a third of the time of `read`. There is no
        transaction: a query may see a later moment than the one before, never an earlier one.
        """
        ...

    async def close(self) -> None: ...
