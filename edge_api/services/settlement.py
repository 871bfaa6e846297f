"""How items and jobs end, and what is given back. Plain transactions; every one is idempotent."""

from msgspec.structs import replace
from sqlalchemy import Connection

from edge_api.domain.jobs import JobStatus, outcome
from edge_api.storage.dispatches import DispatchState, end_dispatches
from edge_api.storage.jobs import (
    GpuTime,
    Job,
    advance_job,
    count_ended_items,
    fail_pending_items,
    finish_item,
    set_refunded,
    touch_working_job,
)
from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.users import release_job_slot
from shared.messages import ItemError, ItemResult, ItemStatus

UNEXPLAINED = ItemError(
    "ITEM_FAILED", "The photo could not be processed; the credit came back.", True
)


def record_result(
    connection: Connection,
    job_id: str,
    result: ItemResult,
    now: float,
    *,
    last_chance: bool = True,
    gpu: GpuTime | None = None,
) -> bool:
    """Write how one item ended, and end the job with its last item.

    False, and nothing changed, where the item had ended before or the job takes no results. An
    item whose failure may pass stays pending unless this was its last chance: the next attempt
    sends it again.
    """
    if not touch_working_job(connection, job_id, now):
        return False
    if result.error is not None and result.error.retryable and not last_chance:
        return False
    if not finish_item(connection, job_id, _explained(result), now, gpu):
        return False
    done = int(result.status is ItemStatus.DONE)
    _settle(connection, count_ended_items(connection, job_id, done, 1 - done), now)
    return True


def _explained(result: ItemResult) -> ItemResult:
    """An item has an error where it failed, and nowhere else."""
    if result.status is ItemStatus.DONE:
        return replace(result, error=None)
    return replace(result, error=result.error or UNEXPLAINED)


def abandon_items(connection: Connection, job_id: str, error: ItemError, now: float) -> None:
    """Fail every item that is still pending, which ends the job."""
    if not touch_working_job(connection, job_id, now):
        return
    failed = fail_pending_items(connection, job_id, error, now)
    _settle(connection, count_ended_items(connection, job_id, 0, failed), now)


def cancel_job(connection: Connection, job_id: str, now: float) -> int | None:
    """Cancel an open job and refund what is not done; None where the job is not open."""
    job = advance_job(connection, job_id, JobStatus.CANCELED, ended_at=now)
    if job is None:
        return None
    refund = job.total_items - job.done_items
    _release(connection, job, refund, now)
    end_dispatches(connection, job_id, DispatchState.CANCELING, now)
    return refund


def _settle(connection: Connection, job: Job, now: float) -> None:
    if job.done_items + job.failed_items < job.total_items:
        return
    ended = advance_job(connection, job.id, outcome(job.done_items), ended_at=now)
    assert ended is not None, "touch_working_job made the job running in this transaction"
    _release(connection, ended, ended.failed_items, now)
    end_dispatches(connection, job.id, DispatchState.ENDED, now)


def _release(connection: Connection, job: Job, refund: int, now: float) -> None:
    if refund:
        move_credits(connection, job.user_id, Kind.REFUND, refund, now, job.id)
        set_refunded(connection, job.id, refund)
    release_job_slot(connection, job.user_id)
