"""Alembic's entry: run the migrations on one connection."""

from alembic import context
from sqlalchemy import create_engine

from edge_api.storage.tables import metadata

url = context.config.get_main_option("sqlalchemy.url")
assert url is not None
engine = create_engine(url)
with engine.connect() as connection:
    # SQLite cannot alter most things in place; batch mode rewrites the table.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
