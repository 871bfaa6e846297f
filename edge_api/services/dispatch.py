"""The outbox at work: lease rows, hand them to Runpod outside any transaction, record answers."""

import asyncio
import logging
import random
import time

from sqlalchemy import Connection

from edge_api.clients.runpod import RunpodClient, RunpodError, RunpodTransient
from edge_api.domain.jobs import WORKING
from edge_api.services.settlement import abandon_items
from edge_api.settings import Settings
from edge_api.storage.database import Database
from edge_api.storage.dispatches import (
    Dispatch,
    DispatchState,
    claim_new,
    move,
    record_refused,
    record_submitted,
)
from edge_api.storage.jobs import find_job, pending_indices
from shared.keys import input_key, output_key, preview_key
from shared.messages import SCHEMA_VERSION, ItemError, ItemMessage, JobMessage

logger = logging.getLogger(__name__)

LEASE = 60.0
"""Seconds a dispatcher may take for one submit (its client gives up after 15)."""

BATCH = 16
MAX_TRIES = 12
"""With the backoff below about eight minutes of Runpod not answering."""

FIRST_POLL = 2.0
"""Seconds after the submit: soon enough to show that work has begun."""

QUEUE_BUDGET = 3600.0
SECONDS_PER_JOB, SECONDS_PER_ITEM = 300.0, 30.0

NOT_DISPATCHED = ItemError(
    "DISPATCH_FAILED", "The photo could not be handed to a worker; the credit came back.", True
)


class Dispatcher:
    """Submits what is due. Several may run side by side on one database."""

    def __init__(self, database: Database, runpod: RunpodClient, settings: Settings) -> None:
        self._database = database
        self._runpod = runpod
        self._settings = settings

    async def step(self) -> bool:
        """Submit one batch; True where there may be more."""
        claimed = await self._database.write(claim_new, time.time(), LEASE, BATCH)
        await asyncio.gather(*(self._submit(dispatch) for dispatch in claimed))
        return len(claimed) == BATCH

    async def _submit(self, dispatch: Dispatch) -> None:
        message = await self._database.read(build_message, dispatch, self._settings)
        if message is None:
            await self._database.write(
                move, dispatch.id, (DispatchState.SUBMITTING,), DispatchState.ENDED
            )
            return
        timeout = SECONDS_PER_JOB + SECONDS_PER_ITEM * len(message.items)
        endpoint = self._settings.runpod_endpoint_id
        try:
            runpod_job_id = await self._runpod.submit(
                endpoint, message, execution_timeout=timeout, ttl=QUEUE_BUDGET + timeout
            )
        except RunpodError as error:
            await self._database.write(refuse_dispatch, dispatch, error, time.time())
            return
        now = time.time()
        await self._database.write(
            record_submitted, dispatch.id, endpoint, runpod_job_id, now, now + FIRST_POLL
        )
        logger.info(
            "job dispatched",
            extra={
                "job_id": dispatch.job_id,
                "dispatch_id": dispatch.id,
                "attempt": dispatch.attempt,
                "runpod_job_id": runpod_job_id,
            },
        )


def build_message(
    connection: Connection, dispatch: Dispatch, settings: Settings
) -> JobMessage | None:
    """The message for the items still missing; None where the job needs no worker any more."""
    job = find_job(connection, dispatch.job_id)
    if job is None or job.status not in WORKING or job.concepts is None:
        return None
    indices = pending_indices(connection, job.id)
    owner = (job.user_id, job.id)
    return JobMessage(
        schema_version=SCHEMA_VERSION,
        job_id=job.id,
        dispatch_id=dispatch.id,
        attempt=dispatch.attempt,
        user_id=job.user_id,
        preset=job.preset,
        concepts=job.concepts,
        protect=job.protect or [],
        items=[
            ItemMessage(
                idx, input_key(*owner, idx), output_key(*owner, idx), preview_key(*owner, idx)
            )
            for idx in indices
        ],
        callback_url=f"{settings.public_url}/jobs/{job.id}/callback",
        idempotency_prefix=job.id,
        batch_concurrency=settings.batch_concurrency,
    )


def refuse_dispatch(
    connection: Connection, dispatch: Dispatch, error: RunpodError, now: float
) -> None:
    """Try again later, or give up and refund where that cannot help."""
    logger.warning(
        "dispatch refused",
        extra={"job_id": dispatch.job_id, "dispatch_id": dispatch.id, "reason": str(error)},
    )
    if isinstance(error, RunpodTransient) and dispatch.tries < MAX_TRIES:
        record_refused(connection, dispatch.id, str(error), now + backoff(dispatch.tries))
        return
    states = (DispatchState.SUBMITTING,)
    if move(connection, dispatch.id, states, DispatchState.ENDED, str(error)):
        abandon_items(connection, dispatch.job_id, NOT_DISPATCHED, now)


def backoff(tries: int) -> float:
    """Seconds before the next try: 1, 2, 4 … 60, ± 20 % so that many rows do not come at once."""
    return min(60.0, 2.0 ** (tries - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
