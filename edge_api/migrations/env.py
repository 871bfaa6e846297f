"""Alembic's entry: run the migrations on one connection, all of them or none."""

import sqlite3

from alembic import context
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from edge_api.storage.tables import metadata

url = context.config.get_main_option("sqlalchemy.url")
assert url is not None
engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 30})


def leave_transactions_to_us(connection: sqlite3.Connection, _record: object) -> None:
    # Python's driver would commit before and between CREATE TABLE statements.
    connection.isolation_level = None


def take_the_lock(connection: Connection) -> None:
    # Of processes that start at once one migrates, and the others find it done.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


if engine.dialect.name == "sqlite":
    event.listen(engine, "connect", leave_transactions_to_us)
    event.listen(engine, "begin", take_the_lock)

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # SQLite cannot alter most things in place: batch mode rewrites the table. It does roll
        # CREATE and DROP back, which Alembic does not expect of it.
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
