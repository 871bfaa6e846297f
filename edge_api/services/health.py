"""Whether the service can do its work."""

import asyncio
import time
from importlib.metadata import version

from sqlalchemy import Connection, text

from edge_api.services.jobs import Objects
from edge_api.services.loops import Pulse
from edge_api.storage.database import Database
from edge_api.storage.endpoints import find_breaker
from edge_api.storage.statistics import schema_state, waiting_since
from shared.objects import StorageError

VERSION = version("domain-palette-engine")
CHECK_TIMEOUT = 4.0

LAG_LIMIT = 5.0
"""Seconds that the event loop may be late. The app gives up a call after ten."""


WELL = frozenset({"ok", "ahead"})
"""States of a part that is fine: a schema that is ahead has all that this version needs."""


class Health:
    """Looks at what requests need, and at what jobs need beside it.

    `queue_age_limit` in seconds is how long a dispatch may wait.
    """

    def __init__(
        self,
        database: Database,
        objects: Objects,
        pulse: Pulse,
        endpoint_id: str,
        queue_age_limit: float,
    ) -> None:
        self._database = database
        self._objects = objects
        self._pulse = pulse
        self._endpoint = endpoint_id
        self._queue_age_limit = queue_age_limit

    def alive(self) -> dict[str, str]:
        """Of this process alone."""
        return {"event_loop": "ok" if self._pulse.lag() < LAG_LIMIT else "late"}

    async def checks(self) -> dict[str, str]:
        """`ok`, or in a word what else it is, for each part."""
        database, storage = await asyncio.gather(self._check_database(), self._check_storage())
        return {"database": database, "storage": storage}

    async def readiness(self) -> dict[str, str]:
        """The same for everything that a job goes through; `unknown` where nobody can tell."""
        checks, flow = await asyncio.gather(self.checks(), self._check_flow())
        return checks | flow

    async def _check_flow(self) -> dict[str, str]:
        asked = (self._endpoint, self._queue_age_limit, time.time())
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                return await self._database.read(check_flow, *asked)
        except Exception:  # noqa: BLE001 - the database's own check says what is wrong
            return dict.fromkeys(("schema", "queue", "endpoint"), "unknown")

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


def check_flow(
    connection: Connection, endpoint_id: str, queue_age_limit: float, now: float
) -> dict[str, str]:
    """Whether jobs move. An endpoint whose pause is over counts as well: the next job tries it."""
    since = waiting_since(connection)
    late = since is not None and now - since > queue_age_limit
    paused = find_breaker(connection, endpoint_id).open_until > now
    return {
        "schema": schema_state(connection),
        "queue": "late" if late else "ok",
        "endpoint": "paused" if paused else "ok",
    }


def _ping(connection: Connection) -> None:
    # A bare SELECT 1 would not touch the file: it succeeds on a database that is gone.
    connection.execute(text("SELECT 1 FROM users LIMIT 1"))
