"""Looks after attempts that were submitted, so that nothing lost leaves a job hanging."""

import asyncio
import logging
import time

from sqlalchemy import Connection

from edge_api.clients.runpod import (
    RunpodError,
    RunpodForgotten,
    RunpodJob,
    RunpodStatus,
)
from edge_api.clients.workers import WorkerQueue
from edge_api.services.attempts import (
    NEVER_BEGUN,
    NO_WORKER,
    Lost,
    Policy,
    apply_status,
    give_up,
    overdue,
    pause,
    resend,
    retry_or_abandon,
)
from edge_api.services.counters import Counters
from edge_api.storage.database import Database
from edge_api.storage.dispatches import (
    Dispatch,
    DispatchState,
    begin,
    claim_due,
    move,
    postpone,
    postpone_cancel,
)
from edge_api.storage.jobs import find_job
from edge_api.telemetry import UNTRACED, Tracing

logger = logging.getLogger(__name__)

BATCH = 32


class Reconciler:
    """Polls `/status` well inside Runpod's retention; several may run side by side."""

    def __init__(
        self,
        database: Database,
        runpod: WorkerQueue,
        policy: Policy,
        counters: Counters | None = None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._counters = counters or Counters()
        self._tracing = tracing
        self._database = database
        self._runpod = runpod
        self._policy = policy

    async def step(self) -> bool:
        """Look at one batch of due rows; True where there may be more."""
        claimed = await self._database.write(
            claim_due, time.time(), self._policy.patience.look, BATCH
        )
        await asyncio.gather(*(self._look(dispatch) for dispatch in claimed))
        return len(claimed) == BATCH

    async def _look(self, dispatch: Dispatch) -> None:
        with self._tracing.work("reconcile look", **dispatch.ids) as span:
            span.note({"palette.state": dispatch.state})
            self._counters.count_lost(await self._see_to(dispatch))

    async def _see_to(self, dispatch: Dispatch) -> Lost | None:
        try:
            match dispatch.state:
                case DispatchState.CANCELING:
                    await self._cancel(dispatch)
                case DispatchState.SUBMITTED:
                    return await self._ask(dispatch)
                case _:
                    return await self._database.write(
                        resend, dispatch, "no sign of life", time.time()
                    )
        except RunpodForgotten:
            return await self._database.write(
                retry_or_abandon, dispatch, "forgotten", self._policy, time.time()
            )
        except RunpodError as error:
            logger.warning("status unknown", extra={"reason": str(error)})
            later = time.time() + pause(dispatch, time.time())
            await self._database.write(postpone, dispatch.id, later)
            await self._database.write(postpone_cancel, dispatch.id, later)
        return None

    async def _cancel(self, dispatch: Dispatch) -> None:
        if dispatch.endpoint_id is not None and dispatch.runpod_job_id is not None:
            await self._tell(dispatch)
        elif dispatch.submitted_at is None and not await self._database.read(
            canceled_before, dispatch.job_id, time.time() - self._policy.patience.cancel
        ):
            await self._database.write(postpone_cancel, dispatch.id, time.time() + 2.0)
            return
        await self._database.write(
            move, dispatch.id, (DispatchState.CANCELING,), DispatchState.ENDED
        )

    async def _ask(self, dispatch: Dispatch) -> Lost | None:
        assert dispatch.endpoint_id is not None
        assert dispatch.runpod_job_id is not None
        answer = await self._runpod.status(dispatch.endpoint_id, dispatch.runpod_job_id)
        reason = overdue(dispatch, answer, self._policy, time.time())
        if reason is None and answer.status is RunpodStatus.IN_QUEUE:
            reason = await self._stuck(dispatch)
        if reason is None:
            await self._note_begin(dispatch, answer)
            return await self._database.write(
                apply_status, dispatch, answer, self._policy, time.time()
            )
        await self._tell(dispatch)
        return await self._database.write(end_overdue, dispatch, reason, self._policy, time.time())

    async def _note_begin(self, dispatch: Dispatch, answer: RunpodJob) -> None:
        if dispatch.begun_at is None and answer.status.running:
            waited = await self._database.write(begin, dispatch.id, time.time())
            self._counters.observe_begin(waited)

    async def _stuck(self, dispatch: Dispatch) -> str | None:
        """A job that waits although workers are there is sent again; without workers it waits."""
        waited = time.time() - (dispatch.submitted_at or time.time())
        if waited < self._policy.patience.stuck:
            return None
        assert dispatch.endpoint_id is not None
        workers = await self._runpod.workers(dispatch.endpoint_id)
        if workers.usable:
            return "stuck in the queue"
        logger.error(
            "no worker takes jobs",
            extra={"endpoint_id": dispatch.endpoint_id, "throttled": workers.throttled},
        )
        return None

    async def _tell(self, dispatch: Dispatch) -> None:
        """Have Runpod drop it. Raises RunpodError where it may go on."""
        assert dispatch.endpoint_id is not None
        assert dispatch.runpod_job_id is not None
        try:
            await self._runpod.cancel(dispatch.endpoint_id, dispatch.runpod_job_id)
        except RunpodForgotten:
            logger.info("nothing left to cancel")


def end_overdue(
    connection: Connection,
    dispatch: Dispatch,
    reason: str,
    policy: Policy,
    now: float,
) -> Lost | None:
    """What Runpod was told to drop goes to another worker; what none began for so long does not."""
    if reason == NEVER_BEGUN:
        return give_up(connection, dispatch, reason, now, NO_WORKER)
    return retry_or_abandon(connection, dispatch, reason, policy, now)


def canceled_before(connection: Connection, job_id: str, moment: float) -> bool:
    job = find_job(connection, job_id)
    return job is None or job.ended_at is None or job.ended_at < moment
