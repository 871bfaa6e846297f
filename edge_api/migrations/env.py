"""Alembic's entry: run the migrations on one connection, all of them or none."""

import asyncio
import sqlite3

from alembic import context
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from edge_api.storage.addresses import parse_url
from edge_api.storage.tables import metadata

LOCK = 0x45444745  # any number that nothing else in the database uses


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # SQLite cannot alter most things in place: batch mode rewrites the table. It does roll
        # CREATE and DROP back, which Alembic does not expect of it.
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL lock_timeout = '30s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.run_migrations()


def migrate_sqlite(url: URL) -> None:
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 30})
    event.listen(engine, "connect", leave_transactions_to_us)
    event.listen(engine, "begin", take_the_lock)
    with engine.connect() as connection:
        migrate(connection)


def leave_transactions_to_us(connection: sqlite3.Connection, _record: object) -> None:
    # Python's driver would commit before and between CREATE TABLE statements.
    connection.isolation_level = None


def take_the_lock(connection: Connection) -> None:
    # Of processes that start at once one migrates, and the others find it done.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def migrate_postgres(url: URL) -> None:
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
            await connection.commit()
    finally:
        await engine.dispose()


text = context.config.get_main_option("sqlalchemy.url")
assert text is not None
address = parse_url(text)
if address.get_backend_name() == "sqlite":
    migrate_sqlite(address)
else:
    asyncio.run(migrate_postgres(address))
