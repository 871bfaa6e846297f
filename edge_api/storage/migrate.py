"""Brings a database to the newest schema."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from edge_api.storage.database import DatabaseUnavailable

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def upgrade(url: str) -> None:
    """Apply every migration that is missing; quick where there is none.

    Raises DatabaseUnavailable, in a line without the URL, where there is no way into it.

    A database that a newer version has migrated is left as it is: migrations only add, so this
    version works with it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _upgrade(url)
        return
    # PostgreSQL's driver brings an event loop of its own, which cannot run inside this one.
    with ThreadPoolExecutor(1, "migrate") as pool:
        pool.submit(_upgrade, url).result()


def _upgrade(url: str) -> None:
    try:
        command.upgrade(configuration(url), "head")
    except Exception as error:
        if _is_outside(error):
            raise DatabaseUnavailable(_reason(error)) from error
        if not isinstance(error, CommandError):
            raise
        # "head" is always known, so what is not is the revision of the database.
        if not isinstance(error.__cause__, ResolutionError):
            raise
        logger.warning("schema of a newer version", extra={"revision": error.__cause__.argument})


def _is_outside(error: Exception) -> bool:
    """Whether the database could not be opened, rather than a migration is wrong."""
    # What asyncpg raises while it connects SQLAlchemy passes on as it is.
    driver = type(error).__module__.startswith("asyncpg.")
    # No statement yet, or the one with which a migration begins.
    opening = isinstance(error, DBAPIError) and error.statement in (None, "BEGIN IMMEDIATE")
    return driver or opening or isinstance(error, OSError)


def _reason(error: Exception) -> str:
    """In the driver's words, which name no password."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def configuration(url: str) -> Config:
    """Alembic's configuration for the database at `url`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config
