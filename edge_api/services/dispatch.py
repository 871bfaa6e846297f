"""The outbox at work: lease rows, hand them to Runpod outside any transaction, record answers."""

import asyncio
import logging
import random
import time

from sqlalchemy import Connection

from edge_api.clients.runpod import (
    RunpodAmbiguous,
    RunpodDenied,
    RunpodError,
    RunpodTransient,
)
from edge_api.clients.workers import WorkerQueue
from edge_api.domain.jobs import WORKING
from edge_api.services.attempts import MAX_TRIES, NOT_DISPATCHED, give_up
from edge_api.services.breaker import after_failure, room
from edge_api.services.counters import Counters, Submit
from edge_api.settings import Patience, Settings
from edge_api.storage.database import Database
from edge_api.storage.dispatches import (
    IN_DOUBT,
    Dispatch,
    DispatchState,
    claim_new,
    move,
    record_refused,
    record_submitted,
    record_uncertain,
)
from edge_api.storage.endpoints import close_breaker
from edge_api.storage.jobs import find_job, pending_inputs
from edge_api.telemetry import UNTRACED, Tracing
from shared.keys import input_key, output_key, preview_key
from shared.messages import SCHEMA_VERSION, ItemMessage, JobMessage
from shared.versions import write

logger = logging.getLogger(__name__)

BATCH = 16

FIRST_POLL = 2.0
"""Seconds after the submit: soon enough to show that work has begun."""


class Dispatcher:
    """Submits what is due. Several may run side by side on one database."""

    def __init__(
        self,
        database: Database,
        runpod: WorkerQueue,
        settings: Settings,
        counters: Counters | None = None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._counters = counters or Counters()
        self._tracing = tracing
        self._database = database
        self._runpod = runpod
        self._settings = settings
        self._endpoint = settings.runpod_endpoint_id
        self._patience = settings.patience

    async def step(self) -> bool:
        """Submit one batch; True where there may be more."""
        claimed = await self._database.write(self._claim, time.time())
        await asyncio.gather(*(self._submit(dispatch) for dispatch in claimed))
        return len(claimed) == BATCH

    def _claim(self, connection: Connection, now: float) -> list[Dispatch]:
        limit = room(connection, self._endpoint, BATCH, self._patience.breaker, now)
        if not limit:
            return []
        return claim_new(connection, self._endpoint, now, self._patience.submit, limit)

    async def _submit(self, dispatch: Dispatch) -> None:
        with self._tracing.work("dispatch submit", **dispatch.ids) as span:
            outcome = await self._hand_over(dispatch, span.traceparent)
            self._counters.count_submit(outcome)
            span.note({"palette.outcome": outcome})

    async def _hand_over(self, dispatch: Dispatch, traceparent: str | None) -> Submit:
        message = await self._database.read(build_message, dispatch, self._settings, traceparent)
        if message is None:
            await self._database.write(move, dispatch.id, IN_DOUBT, DispatchState.ENDED)
            return Submit.NEEDLESS
        timeout = self._patience.job + self._patience.item * len(message.items)
        ttl = self._patience.queue + timeout
        try:
            runpod_job_id = await self._runpod.submit(
                self._endpoint,
                write(message, self._settings.job_schema_version),
                execution_timeout=timeout,
                ttl=ttl,
            )
        except RunpodError as error:
            return await self._database.write(
                refuse_dispatch, dispatch, error, self._endpoint, self._patience, time.time()
            )
        if not await self._database.write(
            accept_dispatch, dispatch, self._endpoint, runpod_job_id, ttl, time.time()
        ):
            await self._withdraw(runpod_job_id)  # its account was erased meanwhile
            return Submit.SUBMITTED
        logger.info("job dispatched", extra={"runpod_job_id": runpod_job_id})
        return Submit.SUBMITTED

    async def _withdraw(self, runpod_job_id: str) -> None:
        try:
            await self._runpod.cancel(self._endpoint, runpod_job_id)
        except RunpodError as error:
            logger.warning("nobody's work goes on", extra={"reason": str(error)})


def build_message(
    connection: Connection,
    dispatch: Dispatch,
    settings: Settings,
    traceparent: str | None = None,
) -> JobMessage | None:
    """The message for the items still missing; None where the job needs no worker any more."""
    job = find_job(connection, dispatch.job_id)
    if job is None or job.status not in WORKING or job.concepts is None:
        return None
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
                idx,
                input_key(*owner, idx),
                output_key(*owner, idx),
                preview_key(*owner, idx),
                input_etag=etag,
            )
            for idx, etag in pending_inputs(connection, job.id)
        ],
        callback_url=f"{settings.public_url}/jobs/{job.id}/callback",
        idempotency_prefix=job.id,
        batch_concurrency=settings.batch_concurrency,
        request_id=dispatch.request_id,
        traceparent=traceparent,
    )


def accept_dispatch(
    connection: Connection,
    dispatch: Dispatch,
    endpoint_id: str,
    runpod_job_id: str,
    ttl: float,
    now: float,
) -> bool:
    """Runpod took it. False where the row is gone."""
    close_breaker(connection, endpoint_id)
    return record_submitted(
        connection, dispatch.id, runpod_job_id, now, now + FIRST_POLL, now + ttl
    )


def refuse_dispatch(
    connection: Connection,
    dispatch: Dispatch,
    error: RunpodError,
    endpoint_id: str,
    patience: Patience,
    now: float,
) -> Submit:
    """Try again later, wait for a sign of life, or give up and refund where neither can help."""
    text = str(error)
    logger.warning("dispatch refused", extra={**dispatch.ids, "reason": text})
    after_failure(connection, endpoint_id, error, patience.breaker, now)
    if isinstance(error, RunpodAmbiguous):
        record_uncertain(connection, dispatch.id, text, now + patience.uncertain)
        return Submit.AMBIGUOUS
    if isinstance(error, RunpodDenied):
        record_refused(connection, dispatch.id, text, now + patience.breaker, counted=False)
        return Submit.DENIED
    passing = isinstance(error, RunpodTransient)
    if passing and dispatch.tries < MAX_TRIES:
        pause = backoff(dispatch.tries, patience.backoff)
        record_refused(connection, dispatch.id, text, now + pause)
        return Submit.TRANSIENT
    if give_up(connection, dispatch, text, now, NOT_DISPATCHED) is None:
        return Submit.NEEDLESS
    return Submit.GIVEN_UP if passing else Submit.REFUSED


def backoff(tries: int, most: float = 60.0) -> float:
    """Seconds before the next try: 1, 2, 4 … `most`, ± 20 % so that rows do not come at once."""
    return min(most, 2.0 ** (tries - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
