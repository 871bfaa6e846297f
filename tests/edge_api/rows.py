"""Users, jobs and dispatches as rows, by the very functions that the services call."""

from typing import Any

import msgspec
from sqlalchemy import Connection, text

from edge_api.clients.runpod import RunpodJob, RunpodStatus
from edge_api.domain.plans import Plan
from edge_api.services.accounts import open_account
from edge_api.services.jobs import ExecuteRequest, confirm_job, execute_job, reserve_job
from edge_api.storage.dispatches import Dispatch, claim_new, record_submitted
from edge_api.storage.jobs import Job, find_job
from shared.keys import output_key, preview_key
from shared.messages import (
    SCHEMA_VERSION,
    ItemError,
    ItemResult,
    ItemStatus,
    JobSummary,
    idempotency_key,
)
from shared.rules import RequestedRule

NOW = 1_700_000_000.0
"""When everything begins, in Unix seconds: long ago, so that it is due on any clock."""

FOREVER = 4e9
"""A lease that does not run out on any clock."""

REQUEST = ExecuteRequest({"Wall": RequestedRule("recolor", "oak_a")})


def new_user(connection: Connection, plan: Plan = Plan.FREE) -> str:
    return open_account(connection, None, NOW, plan)[0].id


def created(connection: Connection, user_id: str, count: int = 2, now: float = NOW) -> str:
    return reserve_job(connection, user_id, "interior", count, now)


def uploaded(connection: Connection, user_id: str, count: int = 2, now: float = NOW) -> str:
    job_id = created(connection, user_id, count, now)
    confirm_job(connection, user_id, job_id, {}, now)
    return job_id


def queued(connection: Connection, user_id: str, count: int = 2, now: float = NOW) -> str:
    job_id = uploaded(connection, user_id, count, now)
    execute_job(connection, user_id, job_id, REQUEST, now)
    return job_id


def submitted(connection: Connection, count: int = 2, now: float = NOW) -> tuple[str, Dispatch]:
    """A new user's job that Runpod has, and its first attempt."""
    job_id = queued(connection, new_user(connection), count, now)
    return job_id, submit(connection, job_id, now)


def submit(connection: Connection, job_id: str, now: float = NOW) -> Dispatch:
    """Hand the newest attempt of a job to Runpod."""
    (claimed,) = [
        d for d in claim_new(connection, "endpoint1", now, 60.0, 100) if d.job_id == job_id
    ]
    record_submitted(connection, claimed.id, f"rp-{claimed.id}", now, now + 5, FOREVER)
    return newest(connection, job_id)


def dispatches(connection: Connection, job_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        text("SELECT * FROM dispatches WHERE job_id = :job ORDER BY attempt"), {"job": job_id}
    )
    return [dict(row) for row in rows.mappings()]


def newest(connection: Connection, job_id: str) -> Dispatch:
    row = dispatches(connection, job_id)[-1]
    return msgspec.convert({f: row[f] for f in Dispatch.__struct_fields__}, Dispatch)


def job(connection: Connection, job_id: str) -> Job:
    found = find_job(connection, job_id)
    assert found is not None
    return found


def credits_of(connection: Connection, user_id: str) -> int:
    query = text("SELECT credits FROM users WHERE id = :user")
    return connection.execute(query, {"user": user_id}).scalar_one()


def result(
    owner: Job, dispatch: Dispatch, idx: int, status: ItemStatus = ItemStatus.DONE
) -> ItemResult:
    """What the worker of that attempt reports of one item."""
    done = status is ItemStatus.DONE
    return ItemResult(
        idx=idx,
        status=status,
        idempotency_key=idempotency_key(owner.id, idx, dispatch.attempt),
        dispatch_id=dispatch.id,
        attempt=dispatch.attempt,
        runpod_job_id=f"rp-{dispatch.id}",
        output_key=output_key(owner.user_id, owner.id, idx) if done else None,
        preview_key=preview_key(owner.user_id, owner.id, idx) if done else None,
        error=None if done else ItemError("UNSUPPORTED_IMAGE", "This file is not a photo."),
    )


def completed(dispatch: Dispatch, *results: ItemResult, stopped: str | None = None) -> RunpodJob:
    """What `/status` says when the handler returned these items."""
    summary = JobSummary(
        schema_version=SCHEMA_VERSION,
        job_id=dispatch.job_id,
        dispatch_id=dispatch.id,
        attempt=dispatch.attempt,
        engine="classical",
        items=list(results),
        stopped=stopped,
    )
    return RunpodJob(RunpodStatus.COMPLETED, msgspec.Raw(msgspec.json.encode(summary)))
