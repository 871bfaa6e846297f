"""Whether the service can do its work."""

import asyncio
from importlib.metadata import version

from sqlalchemy import Connection, text

from edge_api.services.jobs import Objects
from edge_api.storage.database import Database
from shared.objects import StorageError

VERSION = version("domain-palette-engine")
CHECK_TIMEOUT = 4.0


class Health:
    """Looks at what every request needs: the database and the bucket."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database = database
        self._objects = objects

    async def checks(self) -> dict[str, str]:
        """`ok`, or in a word what is wrong, for each part."""
        database, storage = await asyncio.gather(self._check_database(), self._check_storage())
        return {"database": database, "storage": storage}

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await self._database.read(_ping)
        except TimeoutError:
            return "timeout"
        except Exception:  # noqa: BLE001 - whatever it is, the part is down
            return "unavailable"
        return "ok"

    async def _check_storage(self) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await asyncio.to_thread(self._objects.ready)
        except TimeoutError:
            return "timeout"
        except StorageError:
            return "unavailable"
        return "ok"


def _ping(connection: Connection) -> None:
    # A bare SELECT 1 would not touch the file: it succeeds on a database that is gone.
    connection.execute(text("SELECT 1 FROM users LIMIT 1"))
