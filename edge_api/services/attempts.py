"""How an attempt goes on or ends, and what follows it. Plain transactions, each idempotent."""

import logging

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from edge_api.clients.runpod import RunpodJob, RunpodStatus
from edge_api.domain.errors import CallbackUnauthorized
from edge_api.domain.ids import new_id
from edge_api.domain.jobs import WORKING
from edge_api.services.meter import Meter, clamp
from edge_api.services.results import check_keys
from edge_api.services.settlement import abandon_items, record_result
from edge_api.settings import Patience
from edge_api.storage.costs import record_execution
from edge_api.storage.dead_letters import insert_dead_letter
from edge_api.storage.dispatches import (
    IN_DOUBT,
    Dispatch,
    DispatchState,
    insert_dispatch,
    move,
    postpone,
    record_begun,
)
from edge_api.storage.jobs import find_job, pending_indices, touch_working_job
from shared.messages import ItemError, ItemResult, JobSummary

logger = logging.getLogger(__name__)

MAX_TRIES = 12
"""With the backoff about eight minutes of Runpod not answering."""

UNREAD_TRIES = 36
"""With the same backoff half an hour of workers that read an older version of the message: time to
bring newer workers, or to tell the API to write the older version."""

RUNPOD_RETRIES = 2
"""Runpod begins a job again by itself where its worker dies; a photo that kills workers would go
round for ever."""

NEVER_BEGUN = "never begun"
"""Why an attempt is given up that no worker took: another would wait as well."""

WORKER_LOST = ItemError(
    "WORKER_LOST", "The worker stopped before this photo was finished; the credit came back.", True
)
NOT_DISPATCHED = ItemError(
    "DISPATCH_FAILED", "The photo could not be handed to a worker; the credit came back.", True
)
NO_WORKER = ItemError(
    "NO_WORKER", "No worker was free for too long; the credit came back. Try again later.", True
)


class Policy(Struct, frozen=True):
    """What settings say of attempts."""

    max_attempts: int = 3
    patience: Patience = Patience()
    meter: Meter = Meter()

    def last_chance(self, dispatch: Dispatch) -> bool:
        """Whether what this attempt loses is lost for good."""
        return dispatch.strikes + 1 >= self.max_attempts


class Lost(Struct, frozen=True):
    """An attempt came to nothing: another follows, or what is missing was given up."""

    reason: str
    again: bool


def apply_status(
    connection: Connection, dispatch: Dispatch, answer: RunpodJob, policy: Policy, now: float
) -> Lost | None:
    """Bring a job in line with what Runpod says of it."""
    if answer.status.ended and (ms := answer.execution_ms) is not None:
        record_execution(connection, dispatch.id, clamp(ms), policy.meter.rate)
    match answer.status:
        case RunpodStatus.IN_QUEUE:
            postpone(connection, dispatch.id, now + pause(dispatch, now))
        case RunpodStatus.IN_PROGRESS | RunpodStatus.RUNNING:
            touch_working_job(connection, dispatch.job_id, now)
            record_begun(connection, dispatch.id, now, now + policy.patience.stall)
            postpone(connection, dispatch.id, now + pause(dispatch, now))
        case RunpodStatus.COMPLETED:
            apply_output(connection, dispatch, answer.output, policy, now)
            return retry_or_abandon(connection, dispatch, "incomplete", policy, now)
        case RunpodStatus.FAILED if answer.unread:
            after = min(policy.patience.backoff, 2.0 ** (dispatch.tries - 1))
            tries = UNREAD_TRIES
            return resend(connection, dispatch, "message not read", now, tries=tries, after=after)
        case RunpodStatus.FAILED | RunpodStatus.TIMED_OUT | RunpodStatus.CANCELLED:
            return retry_or_abandon(connection, dispatch, answer.status.lower(), policy, now)
    return None


def overdue(dispatch: Dispatch, answer: RunpodJob, policy: Policy, now: float) -> str | None:
    """Why Runpod is to be told to give an attempt up that it thinks alive; None where it is not."""
    running = answer.status in {RunpodStatus.IN_PROGRESS, RunpodStatus.RUNNING}
    if not running and answer.status is not RunpodStatus.IN_QUEUE:
        return None
    if answer.retries >= RUNPOD_RETRIES:
        return "worker dies of it"
    if dispatch.lease_until is not None and now >= dispatch.lease_until:
        if running:
            return "stalled"
        # Runpod puts a job back into its queue where the worker died.
        return NEVER_BEGUN if dispatch.begun_at is None else "worker died"
    return None


def apply_output(
    connection: Connection, dispatch: Dispatch, output: msgspec.Raw, policy: Policy, now: float
) -> None:
    """Take over the items of a handler's summary whose callbacks did not arrive."""
    try:
        items = msgspec.json.decode(output, type=JobSummary).items
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        logger.warning("output is no summary", extra={**dispatch.ids, "reason": str(error)})
        return
    job = find_job(connection, dispatch.job_id)
    for result in items:
        if job is not None and _belongs(dispatch, result):
            try:
                check_keys(job, result)
            except CallbackUnauthorized as error:
                logger.warning(str(error), extra=dispatch.ids)
            else:
                last = policy.last_chance(dispatch)
                gpu = policy.meter.time(result.timings, job.total_items)
                record_result(connection, job.id, result, now, last_chance=last, gpu=gpu)


def _belongs(dispatch: Dispatch, result: ItemResult) -> bool:
    return (result.dispatch_id, result.attempt) == (dispatch.id, dispatch.attempt)


def retry_or_abandon(
    connection: Connection,
    dispatch: Dispatch,
    reason: str,
    policy: Policy,
    now: float,
    error: ItemError = WORKER_LOST,
) -> Lost | None:
    """Send what is still missing again as the next attempt, or fail and refund it."""
    again = not policy.last_chance(dispatch)
    return _follow(connection, dispatch, reason, again, now, error, strikes=dispatch.strikes + 1)


def resend(
    connection: Connection,
    dispatch: Dispatch,
    reason: str,
    now: float,
    *,
    tries: int = MAX_TRIES,
    after: float = 0.0,
) -> Lost | None:
    """No worker may have got it: another attempt takes its place in `after` seconds, and fences it.

    No worker is known to have failed, so this is no strike; the tries are what comes to an end.
    """
    again, error = dispatch.tries < tries, NOT_DISPATCHED
    kept = dispatch.strikes
    return _follow(connection, dispatch, reason, again, now, error, strikes=kept, after=after)


def give_up(
    connection: Connection, dispatch: Dispatch, reason: str, now: float, error: ItemError
) -> Lost | None:
    """Fail and refund what is still missing, and leave a dead letter."""
    return _follow(connection, dispatch, reason, False, now, error, strikes=dispatch.strikes)


def _follow(
    connection: Connection,
    dispatch: Dispatch,
    reason: str,
    again: bool,
    now: float,
    error: ItemError,
    *,
    strikes: int,
    after: float = 0.0,
) -> Lost | None:
    alive = (*IN_DOUBT, DispatchState.SUBMITTED)
    # Locked first: an attempt must not follow for a job that is being canceled.
    job = find_job(connection, dispatch.job_id, lock=True)
    missing = pending_indices(connection, dispatch.job_id)
    if job is None or job.status not in WORKING or not missing:
        move(connection, dispatch.id, alive, DispatchState.ENDED)
        return None
    target = DispatchState.SUPERSEDED if again else DispatchState.ENDED
    if not move(connection, dispatch.id, alive, target, reason):
        return None
    _log_lost(dispatch, reason, again)
    if again:
        insert_dispatch(
            connection,
            new_id("dispatch"),
            dispatch.job_id,
            dispatch.attempt + 1,
            now,
            tries=dispatch.tries if strikes == dispatch.strikes else 0,
            strikes=strikes,
            request_id=dispatch.request_id,
            after=after,
        )
    else:
        insert_dead_letter(
            connection, dispatch.job_id, dispatch.id, missing, error.code, reason, now
        )
        abandon_items(connection, dispatch.job_id, error, now)
    return Lost(reason, again)


def _log_lost(dispatch: Dispatch, reason: str, again: bool) -> None:
    logger.warning(
        "attempt lost" if again else "job given up",
        extra={**dispatch.ids, "reason": reason},
    )


def pause(dispatch: Dispatch, now: float) -> float:
    """Seconds until the next look: a fifth of the age, prompt for short jobs and once a minute
    for long ones, well inside the 30 minutes for which Runpod remembers."""
    age = now - (dispatch.submitted_at or now)
    return min(60.0, max(2.0, age / 5))
