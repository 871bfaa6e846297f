"""What DATABASE_URL may say, and the database behind it."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from edge_api.storage.database import Database

_POSTGRES = ("postgresql", "postgres")


def parse_url(text: str) -> URL:
    """`sqlite:///path` or `postgresql://user@host/name`, with libpq's `sslmode` where it is given.

    Raises ValueError for anything else; its text does not repeat the URL, which holds a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("must be sqlite:///<path> or postgresql://user@host/name") from None
    if url.drivername == "sqlite" and url.database and not url.database.startswith(":memory:"):
        return url
    if url.drivername in _POSTGRES and url.database:
        query = {("ssl" if name == "sslmode" else name): url.query[name] for name in url.query}
        return url.set(drivername="postgresql+asyncpg", query=query)
    raise ValueError("must be sqlite:///<path> or postgresql://user@host/name")


def open_database(text: str) -> Database:
    """Raises ValueError where `parse_url` does. PostgreSQL's driver is imported here, if at all."""
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        from edge_api.storage.sqlite import SqliteDatabase

        return SqliteDatabase(url)
    from edge_api.storage.postgres import PostgresDatabase

    return PostgresDatabase(url)
