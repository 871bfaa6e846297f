"""Sends what a dead letter is about once more, as a new job of the same user.

The old job has ended and was refunded; it stays as it is.
"""

import asyncio
import time
from typing import Protocol

from sqlalchemy import Connection

from edge_api.domain.errors import DomainError, InvalidTransition, NotFound
from edge_api.domain.ids import new_id
from edge_api.domain.jobs import JobStatus
from edge_api.services.jobs import reserve_job
from edge_api.storage.database import Database
from edge_api.storage.dead_letters import (
    DeadLetter,
    DeadLetterState,
    find_dead_letter,
    resolve_dead_letter,
)
from edge_api.storage.dispatches import insert_dispatch
from edge_api.storage.jobs import Execution, Job, advance_job, find_job, queue_job
from edge_api.storage.ledger import Kind, move_credits
from shared.keys import input_key
from shared.messages import MAX_INPUT_BYTES
from shared.objects import ObjectMissing


class Photos(Protocol):
    """The part of the object store that moves photos from one job to another."""

    def get(self, key: str, *, max_bytes: int) -> bytes: ...

    def put(self, key: str, body: bytes, content_type: str) -> None: ...


class PhotosGone(DomainError):
    """Retention has deleted what would be worked on."""

    status, code = 409, "PHOTOS_GONE"


class Replays:
    """For operators alone."""

    def __init__(self, database: Database, photos: Photos) -> None:
        self._database = database
        self._photos = photos

    async def replay(self, letter_id: str, *, free: bool) -> str:
        """The new job's id. `free` grants the credits that it costs.

        Raises NotFound, InvalidTransition where the letter was resolved before, PhotosGone, and
        what creating a job raises. A job whose photos were not all copied expires like any other.
        """
        letter, job = await self._database.read(read_letter, letter_id)
        created = await self._database.write(reserve_replay, letter, job, free, time.time())
        for position, idx in enumerate(letter.indices):
            source = input_key(job.user_id, job.id, idx)
            target = input_key(job.user_id, created, position)
            await asyncio.to_thread(self._copy, source, target)
        await self._database.write(queue_replay, letter, job, created, time.time())
        return created

    def _copy(self, source: str, target: str) -> None:
        try:
            body = self._photos.get(source, max_bytes=MAX_INPUT_BYTES)
        except ObjectMissing as error:
            raise PhotosGone("The photos were deleted meanwhile.", {"key": source}) from error
        self._photos.put(target, body, "image/jpeg")

    async def drop(self, letter_id: str) -> None:
        """Raises NotFound, or InvalidTransition where it was resolved before."""
        await self._database.write(drop_letter, letter_id, time.time())


def read_letter(connection: Connection, letter_id: str) -> tuple[DeadLetter, Job]:
    letter = find_dead_letter(connection, letter_id)
    if letter is None:
        raise NotFound("There is no such dead letter.")
    if letter.state is not DeadLetterState.OPEN:
        raise InvalidTransition(f"The dead letter was {letter.state} before.")
    job = find_job(connection, letter.job_id)
    assert job is not None, "a foreign key"
    return letter, job


def reserve_replay(
    connection: Connection, letter: DeadLetter, job: Job, free: bool, now: float
) -> str:
    count = len(letter.indices)
    if free:
        move_credits(connection, job.user_id, Kind.ADJUST, count, now, None)
    return reserve_job(connection, job.user_id, job.preset, count, now)


def queue_replay(
    connection: Connection, letter: DeadLetter, job: Job, created: str, now: float
) -> None:
    """All at once, so that a letter is replayed by one job."""
    state = DeadLetterState.REPLAYED
    if not resolve_dead_letter(connection, letter.id, state, now, replayed_as=created):
        raise InvalidTransition("The dead letter was resolved meanwhile.")
    execution = Execution(
        job.concepts or {},
        job.protect or [],
        job.warnings or [],
        job.output_template,
        job.execute_hash or "",
    )
    advance_job(connection, created, JobStatus.UPLOADED, confirmed_at=now)
    if queue_job(connection, created, execution, now) is None:
        raise InvalidTransition("The new job was canceled meanwhile.")
    insert_dispatch(connection, new_id("dispatch"), created, 1, now)


def drop_letter(connection: Connection, letter_id: str, now: float) -> None:
    read_letter(connection, letter_id)
    if not resolve_dead_letter(connection, letter_id, DeadLetterState.DROPPED, now):
        raise InvalidTransition("The dead letter was resolved meanwhile.")
