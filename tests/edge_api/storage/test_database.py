"""Transactions: whole or not at all, off the event loop, one writer at a time."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar, cast

import pytest
from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.exc import DBAPIError

from edge_api.storage.addresses import open_database
from edge_api.storage.database import Database, DatabaseUnavailable
from edge_api.storage.ledger import Kind, ledger_sum, move_credits
from edge_api.storage.tables import users
from tests.edge_api import rows
from tests.edge_api.conftest import MakeDatabase

T = TypeVar("T")
Use = Callable[[Callable[[Database], Awaitable[T]]], T]

TWO_QUERIES = (
    select(users.c.id, users.c.credits).where(users.c.id == bindparam("user_id")),
    select(users.c.id).where(users.c.plan == bindparam("plan"), users.c.id == bindparam("user_id")),
)


@pytest.fixture
def use(database_url: str) -> Use[object]:
    """Runs a coroutine with an open database and closes it again."""

    def run(work: Callable[[Database], Awaitable[object]]) -> object:
        async def whole() -> object:
            database = open_database(database_url)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(whole())

    return run


def dawdle(connection: Connection, seconds: float) -> None:
    """A transaction takes its time: in the database where it runs on the loop, here where not."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
    else:
        time.sleep(seconds)


def count_users(connection: Connection) -> int:
    return connection.execute(text("SELECT count(*) FROM users")).scalar_one()


def test_a_write_is_there_for_the_next_read(use: Use[object]) -> None:
    async def work(database: Database) -> tuple[str, int]:
        return await database.write(rows.new_user), await database.read(count_users)

    assert isinstance(found := use(work), tuple)
    assert found[1] == 1


def test_a_write_that_raises_leaves_nothing(use: Use[object]) -> None:
    def half(connection: Connection) -> None:
        rows.new_user(connection)
        raise LookupError

    async def work(database: Database) -> int:
        with pytest.raises(LookupError):
            await database.write(half)
        return await database.read(count_users)

    assert use(work) == 0


def test_what_a_read_writes_does_not_stay(use: Use[object]) -> None:
    async def work(database: Database) -> int:
        with suppress(DBAPIError):  # PostgreSQL refuses it at once
            await database.read(rows.new_user)
        return await database.read(count_users)

    assert use(work) == 0


def test_reads_go_on_beside_a_long_write(use: Use[object]) -> None:
    def slow(connection: Connection) -> None:
        rows.new_user(connection)
        dawdle(connection, 0.5)

    async def work(database: Database) -> tuple[object, object, object]:
        write = asyncio.create_task(database.write(slow))
        before = [await database.read(count_users) for _ in range(5)]
        still = not write.done()
        await write
        return before, still, await database.read(count_users)

    assert use(work) == ([0] * 5, True, 1)


def test_a_read_sees_one_moment(use: Use[object]) -> None:
    def twice(connection: Connection) -> tuple[int, int]:
        first = count_users(connection)
        dawdle(connection, 0.3)
        return first, count_users(connection)

    async def work(database: Database) -> tuple[object, object]:
        read = asyncio.create_task(database.read(twice))
        await asyncio.sleep(0.1)
        await database.write(rows.new_user)
        return await read, await database.read(count_users)

    assert use(work) == ((0, 0), 1)


def test_the_loop_runs_on_during_a_transaction(use: Use[object]) -> None:
    async def work(database: Database) -> int:
        write = asyncio.create_task(database.write(dawdle, 0.2))
        ticks = 0
        while not write.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    ticks = use(work)
    assert isinstance(ticks, int)
    assert ticks >= 5


def test_two_writers_count_exactly(database_url: str, use: Use[object]) -> None:
    """Two processes' databases on one file, each with increments that read first."""

    def increment(connection: Connection) -> None:
        found = connection.execute(select(users.c.credits).with_for_update()).scalar_one()
        connection.execute(text("UPDATE users SET credits = :c"), {"c": found + 1})

    async def work(first: Database) -> int:
        second = open_database(database_url)
        user = await first.write(rows.new_user)
        await asyncio.gather(
            *(database.write(increment) for _ in range(25) for database in (first, second))
        )
        await second.close()
        await first.write(
            lambda c: c.execute(text("UPDATE users SET credits = credits - 50")).rowcount
        )
        return await first.read(rows.credits_of, user)

    assert use(work) == 10


def test_closing_leaves_no_transaction_half_done(database_kind: str, use: Use[object]) -> None:
    """Who waited for it is gone: a thread of SQLite's ends it, PostgreSQL takes it back."""
    started = threading.Event()

    def slow(connection: Connection) -> None:
        rows.new_user(connection)
        started.set()
        dawdle(connection, 0.2)

    async def begin(database: Database) -> None:
        task = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(started.wait)
        task.cancel()

    async def count(database: Database) -> int:
        return await database.read(count_users)

    use(begin)
    assert use(count) == {"sqlite": 1, "postgresql": 0}[database_kind]


@pytest.mark.parametrize(
    "url", ["sqlite://", "mysql://x/y", "postgresql://", "sqlite+x:///y", "nonsense"]
)
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be sqlite"):
        open_database(url)


def test_credits_move_with_the_row_that_explains_it(connection: Connection) -> None:
    user = rows.new_user(connection)
    assert move_credits(connection, user, Kind.ADJUST, 5, 1.0, None)
    assert move_credits(connection, user, Kind.ADJUST, -15, 2.0, None)
    assert rows.credits_of(connection, user) == ledger_sum(connection, user) == 0


@pytest.mark.parametrize("amount", [-11, -(10**6)])
def test_credits_never_fall_below_zero(connection: Connection, amount: int) -> None:
    user = rows.new_user(connection)
    assert move_credits(connection, user, Kind.ADJUST, amount, 1.0, None) is False
    assert rows.credits_of(connection, user) == ledger_sum(connection, user) == 10


def test_nobody_s_credits_do_not_move(connection: Connection) -> None:
    assert move_credits(connection, "user_gone", Kind.GRANT, 5, 1.0, None) is False
    assert ledger_sum(connection, "user_gone") == 0


def test_a_server_that_was_restarted_is_not_noticed(make_database: MakeDatabase) -> None:
    """Every connection of the pool is dead: reads and writes find out and go on."""
    url = make_database("postgresql")

    def kill(connection: Connection) -> None:
        others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        connection.execute(text(others))

    async def work() -> int:
        database, killer = open_database(url), open_database(url)
        try:
            user_id = await database.write(rows.new_user)
            await killer.write(kill)
            await database.write(rows.new_user)
            await killer.write(kill)
            (seen, _) = await database.glance(TWO_QUERIES, {"user_id": user_id, "plan": "free"})
            assert len(seen) == 1
            await killer.write(kill)
            return await database.read(count_users)
        finally:
            await database.close()
            await killer.close()

    assert asyncio.run(work()) == 2


def test_a_database_that_is_not_there_is_unavailable(make_database: MakeDatabase) -> None:
    calls: list[Callable[[Database], Awaitable[object]]] = [
        lambda database: database.write(rows.new_user),
        lambda database: database.read(count_users),
        lambda database: database.glance(TWO_QUERIES, {"user_id": "user_1", "plan": "free"}),
    ]

    async def ask(url: str, call: Callable[[Database], Awaitable[object]]) -> None:
        database = open_database(url)
        try:
            await call(database)
        finally:
            await database.close()

    for url in ("postgresql://nobody@127.0.0.1:9/none", "sqlite:////nonexistent/folder/edge.db"):
        for call in calls:
            with pytest.raises(DatabaseUnavailable):
                asyncio.run(ask(url, call))


def test_a_table_that_is_missing_is_our_mistake(
    make_empty: MakeDatabase, database_kind: str
) -> None:
    async def ask(url: str) -> None:
        database = open_database(url)
        try:
            await database.read(count_users)
        finally:
            await database.close()

    with pytest.raises(DBAPIError):
        asyncio.run(ask(make_empty(database_kind)))


def test_a_glance_has_the_rows_of_each_query(use: Use[object]) -> None:
    async def work(database: Database) -> list[list[tuple[object, ...]]]:
        user_id = await database.write(rows.new_user)
        told = await database.glance(TWO_QUERIES, {"plan": "nobody's", "user_id": user_id})
        again = await database.glance(TWO_QUERIES, {"plan": "free", "user_id": user_id})
        return [[tuple(row) for row in found] for found in (*told, *again)]

    (first, nothing, same, second) = cast("list[list[tuple[str, ...]]]", use(work))
    assert first == same
    assert nothing == []
    assert second == [(first[0][0],)]


def test_a_glance_sees_what_was_written_just_before(use: Use[object]) -> None:
    async def work(database: Database) -> list[object]:
        seen = list[object]()
        for _ in range(20):
            user_id = await database.write(rows.new_user)
            found, _ = await database.glance(TWO_QUERIES, {"plan": "free", "user_id": user_id})
            seen.append(len(found))
        return seen

    assert use(work) == [1] * 20


def test_a_glance_needs_its_parameters(use: Use[object]) -> None:
    async def work(database: Database) -> None:
        with pytest.raises(KeyError, match="user_id"):
            await database.glance(TWO_QUERIES, {"plan": "free"})

    use(work)


def test_a_glance_that_has_to_wait_stops_nobody(make_database: MakeDatabase) -> None:
    """Another program has the whole file for a moment; the event loop does not wait for it."""
    url = make_database("sqlite")

    async def new_user() -> str:
        database = open_database(url)
        try:
            return await database.write(rows.new_user)
        finally:
            await database.close()

    async def glance(values: dict[str, str]) -> tuple[int, int]:
        database, turns = open_database(url), 0
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            # As sqlite itself does where it puts its log back into the file.
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            glancing = asyncio.create_task(database.glance(TWO_QUERIES, values))
            for _ in range(20):
                await asyncio.sleep(0.01)
                turns += not glancing.done()
            other.close()
            found, _ = await glancing
            return turns, len(found)
        finally:
            await database.close()

    user_id = asyncio.run(new_user())
    assert asyncio.run(glance({"user_id": user_id, "plan": "free"})) == (20, 1)
