"""Asks Runpod about submitted work, so that a lost callback or worker leaves no job hanging."""

import asyncio
import logging
import time

import msgspec
from sqlalchemy import Connection

from edge_api.clients.runpod import (
    RunpodClient,
    RunpodError,
    RunpodForgotten,
    RunpodJob,
    RunpodStatus,
)
from edge_api.domain.errors import CallbackUnauthorized
from edge_api.domain.ids import new_id
from edge_api.domain.jobs import WORKING
from edge_api.services.callbacks import check_keys
from edge_api.services.settlement import abandon_items, record_result
from edge_api.storage.database import Database
from edge_api.storage.dispatches import (
    Dispatch,
    DispatchState,
    claim_submitted,
    insert_dispatch,
    move,
    postpone,
)
from edge_api.storage.jobs import find_job, pending_indices, touch_working_job
from shared.messages import ItemError, ItemResult, JobSummary

logger = logging.getLogger(__name__)

LEASE = 60.0
BATCH = 32
CANCEL_GRACE = 120.0
"""Seconds in which a submit under way may still tell us which Runpod job to cancel."""

WORKER_LOST = ItemError(
    "WORKER_LOST", "The worker stopped before this photo was finished; the credit came back.", True
)


class Reconciler:
    """Polls `/status` well inside Runpod's retention; several may run side by side."""

    def __init__(self, database: Database, runpod: RunpodClient, max_attempts: int) -> None:
        self._database = database
        self._runpod = runpod
        self._max_attempts = max_attempts

    async def step(self) -> bool:
        """Look at one batch of due rows; True where there may be more."""
        claimed = await self._database.write(claim_submitted, time.time(), LEASE, BATCH)
        await asyncio.gather(*(self._look(dispatch) for dispatch in claimed))
        return len(claimed) == BATCH

    async def _look(self, dispatch: Dispatch) -> None:
        try:
            if dispatch.state is DispatchState.CANCELING:
                await self._cancel(dispatch)
            else:
                await self._ask(dispatch)
        except RunpodForgotten:
            await self._database.write(
                retry_or_abandon, dispatch, "forgotten", self._max_attempts, time.time()
            )
        except RunpodError as error:
            logger.warning(
                "status unknown", extra={"dispatch_id": dispatch.id, "reason": str(error)}
            )

    async def _cancel(self, dispatch: Dispatch) -> None:
        if dispatch.endpoint_id is not None and dispatch.runpod_job_id is not None:
            try:
                await self._runpod.cancel(dispatch.endpoint_id, dispatch.runpod_job_id)
            except RunpodForgotten:
                logger.info("nothing left to cancel", extra={"dispatch_id": dispatch.id})
        elif dispatch.submitted_at is None and not await self._database.read(
            canceled_before, dispatch.job_id, time.time() - CANCEL_GRACE
        ):
            return
        await self._database.write(
            move, dispatch.id, (DispatchState.CANCELING,), DispatchState.ENDED
        )

    async def _ask(self, dispatch: Dispatch) -> None:
        assert dispatch.endpoint_id is not None
        assert dispatch.runpod_job_id is not None
        answer = await self._runpod.status(dispatch.endpoint_id, dispatch.runpod_job_id)
        await self._database.write(apply_status, dispatch, answer, self._max_attempts, time.time())


def canceled_before(connection: Connection, job_id: str, moment: float) -> bool:
    job = find_job(connection, job_id)
    return job is None or job.ended_at is None or job.ended_at < moment


def apply_status(
    connection: Connection, dispatch: Dispatch, answer: RunpodJob, max_attempts: int, now: float
) -> None:
    """Bring a job in line with what Runpod says of it."""
    match answer.status:
        case RunpodStatus.IN_QUEUE:
            postpone(connection, dispatch.id, now + _pause(dispatch, now))
        case RunpodStatus.IN_PROGRESS | RunpodStatus.RUNNING:
            touch_working_job(connection, dispatch.job_id, now)
            postpone(connection, dispatch.id, now + _pause(dispatch, now))
        case RunpodStatus.COMPLETED:
            apply_output(connection, dispatch, answer.output, now)
            retry_or_abandon(connection, dispatch, "incomplete", max_attempts, now)
        case RunpodStatus.FAILED | RunpodStatus.TIMED_OUT | RunpodStatus.CANCELLED:
            retry_or_abandon(connection, dispatch, answer.status.lower(), max_attempts, now)


def apply_output(
    connection: Connection, dispatch: Dispatch, output: msgspec.Raw, now: float
) -> None:
    """Take over the items of a handler's summary whose callbacks did not arrive."""
    try:
        items = msgspec.json.decode(output, type=JobSummary).items
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        logger.warning(
            "output is no summary", extra={"dispatch_id": dispatch.id, "reason": str(error)}
        )
        return
    job = find_job(connection, dispatch.job_id)
    for result in items:
        if job is not None and _belongs(dispatch, result):
            try:
                check_keys(job, result)
            except CallbackUnauthorized as error:
                logger.warning(str(error), extra={"dispatch_id": dispatch.id})
            else:
                record_result(connection, job.id, result, now)


def _belongs(dispatch: Dispatch, result: ItemResult) -> bool:
    return (result.dispatch_id, result.attempt) == (dispatch.id, dispatch.attempt)


def retry_or_abandon(
    connection: Connection, dispatch: Dispatch, reason: str, max_attempts: int, now: float
) -> None:
    """Send what is still missing again as the next attempt, or fail and refund it."""
    job = find_job(connection, dispatch.job_id, lock=True)
    working = job is not None and job.status in WORKING
    if not working or not pending_indices(connection, dispatch.job_id):
        move(connection, dispatch.id, (DispatchState.SUBMITTED,), DispatchState.ENDED)
        return
    again = dispatch.attempt < max_attempts
    target = DispatchState.SUPERSEDED if again else DispatchState.ENDED
    if not move(connection, dispatch.id, (DispatchState.SUBMITTED,), target, reason):
        return
    logger.warning(
        "attempt lost",
        extra={
            "job_id": dispatch.job_id,
            "dispatch_id": dispatch.id,
            "attempt": dispatch.attempt,
            "reason": reason,
        },
    )
    if again:
        insert_dispatch(connection, new_id("dispatch"), dispatch.job_id, dispatch.attempt + 1, now)
    else:
        abandon_items(connection, dispatch.job_id, WORKER_LOST, now)


def _pause(dispatch: Dispatch, now: float) -> float:
    # A fifth of the age: prompt for short jobs, once a minute for long ones.
    age = now - (dispatch.submitted_at or now)
    return min(60.0, max(2.0, age / 5))
