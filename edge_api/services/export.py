"""Everything that is kept about one user."""

from msgspec import Struct
from sqlalchemy import Connection

from edge_api.domain.errors import TokenInvalid
from edge_api.storage.database import Database
from edge_api.storage.jobs import Item, Job, all_items, list_jobs
from edge_api.storage.ledger import Movement, list_movements
from edge_api.storage.rules import Rule, list_rules
from edge_api.storage.users import Profile, find_profile

EVERYTHING = 1_000_000


class ExportedJob(Struct, frozen=True):
    job: Job
    items: list[Item]


class Export(Struct, frozen=True):
    profile: Profile
    rules: list[Rule]
    jobs: list[ExportedJob]
    ledger: list[Movement]


class Exports:
    """Reads a user's data, all of it in one moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, user_id: str) -> Export:
        """Raises TokenInvalid for an account that is gone."""
        return await self._database.read(read_everything, user_id)


def read_everything(connection: Connection, user_id: str) -> Export:
    profile = find_profile(connection, user_id)
    if profile is None:
        raise TokenInvalid
    jobs = list_jobs(connection, user_id, EVERYTHING, None)
    return Export(
        profile,
        list_rules(connection, user_id),
        [ExportedJob(job, all_items(connection, job.id)) for job in jobs],
        list_movements(connection, user_id),
    )
