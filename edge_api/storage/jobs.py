"""Rows of jobs and items. Every change of state is one conditional UPDATE."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar, cast

import msgspec
from msgspec import Struct
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    Row,
    String,
    bindparam,
    func,
    insert,
    literal,
    select,
    update,
)

from edge_api.domain.jobs import OPEN, WORKING, ItemStatus, JobStatus, sources
from edge_api.storage.database import Rows
from edge_api.storage.tables import items, jobs
from shared.messages import ItemError, ItemReport, ItemResult, ItemWarning
from shared.rules import ConceptRule, RuleWarning

T = TypeVar("T")


class Job(Struct, frozen=True):
    id: str
    user_id: str
    preset: str
    status: JobStatus
    total_items: int
    done_items: int
    failed_items: int
    refunded: int
    concepts: dict[str, ConceptRule] | None
    protect: list[str] | None
    warnings: list[RuleWarning] | None
    output_template: str | None
    execute_hash: str | None
    created_at: float
    confirmed_at: float | None
    queued_at: float | None
    started_at: float | None
    ended_at: float | None
    results_purged_at: float | None


class Purge(StrEnum):
    """What retention deletes of a job that ended."""

    INPUTS = "inputs"
    RESULTS = "results"


class Item(Struct, frozen=True):
    idx: int
    status: ItemStatus
    error: ItemError | None
    timings: dict[str, float] | None
    warnings: list[ItemWarning] | None
    report: ItemReport | None


class ItemState(Struct, frozen=True):
    idx: int
    status: ItemStatus
    error: ItemError | None


class GpuTime(Struct, frozen=True):
    """Milliseconds, and nano-dollars per second."""

    ms: int
    rate: int


class Execution(Struct, frozen=True):
    """What a job runs with, copied into it: a later change of the rule does not touch it."""

    concepts: dict[str, ConceptRule]
    protect: list[str]
    warnings: list[RuleWarning]
    output_template: str | None
    request_hash: str


# What the app's polling and every job's creation need is built once: putting a statement together
# costs more than SQLite takes to answer it.
_BY_ID = select(jobs).where(jobs.c.id == bindparam("job_id"))
_FIND = {False: _BY_ID, True: _BY_ID.where(jobs.c.user_id == bindparam("user_id"))}
_FIND_LOCKED = {owned: query.with_for_update() for owned, query in _FIND.items()}
_ITEM_STATES = (
    select(items.c.idx, items.c.status, items.c.error)
    .where(items.c.job_id == bindparam("job_id"))
    .order_by(items.c.idx)
)
_INSERT_JOB = insert(jobs)
_FIRST = select(literal(0).label("idx")).cte("numbers", recursive=True)
_NUMBERS = _FIRST.union_all(
    select(_FIRST.c.idx + 1).where(_FIRST.c.idx < bindparam("count", type_=Integer) - 1)
)
_INSERT_ITEMS = insert(items).from_select(
    ["job_id", "idx", "status"],
    select(bindparam("job_id", type_=String), _NUMBERS.c.idx, literal(ItemStatus.PENDING.value)),
)


def insert_job(
    connection: Connection, job_id: str, user_id: str, preset: str, item_count: int, now: float
) -> None:
    job = {
        "id": job_id,
        "user_id": user_id,
        "preset": preset,
        "status": JobStatus.CREATED,
        "total_items": item_count,
        "done_items": 0,
        "failed_items": 0,
        "refunded": 0,
        "created_at": now,
    }
    connection.execute(_INSERT_JOB, job)
    connection.execute(_INSERT_ITEMS, {"job_id": job_id, "count": item_count})


def find_job(
    connection: Connection, job_id: str, user_id: str | None = None, *, lock: bool = False
) -> Job | None:
    """With `user_id`, another user's job is not found.

    `lock` keeps others from changing it until the transaction ends, which on SQLite is so anyway.
    """
    query = _FIND_LOCKED[user_id is not None] if lock else _FIND[user_id is not None]
    row = connection.execute(query, {"job_id": job_id, "user_id": user_id}).one_or_none()
    return None if row is None else _job(row)


def list_jobs(connection: Connection, user_id: str, limit: int, before: str | None) -> list[Job]:
    """Newest first; ids sort by time, so the last id of a page is the cursor of the next."""
    query = select(jobs).where(jobs.c.user_id == user_id)
    if before is not None:
        query = query.where(jobs.c.id < before)
    rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(limit))
    return [_job(row) for row in rows]


def open_job_ids(connection: Connection, user_id: str) -> list[str]:
    rows = connection.execute(
        select(jobs.c.id)
        .where(jobs.c.user_id == user_id, jobs.c.status.in_(OPEN))
        .order_by(jobs.c.id)
    )
    return list(rows.scalars())


def oldest_created_job_id(connection: Connection, user_id: str) -> str | None:
    return connection.execute(
        select(jobs.c.id)
        .where(jobs.c.user_id == user_id, jobs.c.status == JobStatus.CREATED)
        .order_by(jobs.c.id)
        .limit(1)
    ).scalar_one_or_none()


def abandoned_job_ids(
    connection: Connection, created_before: float, confirmed_before: float, limit: int
) -> list[str]:
    """Jobs created and never confirmed, or confirmed and never executed, by then."""
    rows = connection.execute(
        select(jobs.c.id)
        .where(
            ((jobs.c.status == JobStatus.CREATED) & (jobs.c.created_at < created_before))
            | ((jobs.c.status == JobStatus.UPLOADED) & (jobs.c.confirmed_at < confirmed_before))
        )
        .order_by(jobs.c.id)
        .limit(limit)
    )
    return list(rows.scalars())


def advance_job(
    connection: Connection, job_id: str, target: JobStatus, **columns: object
) -> Job | None:
    """Enter `target` if the state machine allows it from where the job is; None where not."""
    row = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.status.in_(sources(target)))
        .values(status=target, **columns)
        .returning(jobs)
    ).one_or_none()
    return None if row is None else _job(row)


def queue_job(connection: Connection, job_id: str, execution: Execution, now: float) -> Job | None:
    return advance_job(
        connection,
        job_id,
        JobStatus.QUEUED,
        queued_at=now,
        concepts=msgspec.to_builtins(execution.concepts),
        protect=execution.protect,
        warnings=msgspec.to_builtins(execution.warnings),
        output_template=execution.output_template,
        execute_hash=execution.request_hash,
    )


def touch_working_job(connection: Connection, job_id: str, now: float) -> bool:
    """The first sign of work makes a queued job running; True while the job takes results.

    On PostgreSQL this also locks the row, so that the items of a job end one after another.
    """
    touched = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.status.in_(WORKING))
        .values(status=JobStatus.RUNNING, started_at=func.coalesce(jobs.c.started_at, now))
    )
    return touched.rowcount == 1


def purgeable_jobs(
    connection: Connection, what: Purge, ended_before: float, limit: int
) -> list[tuple[str, str]]:
    """(user, job) of those that ended by then and of which this was not deleted yet."""
    rows = connection.execute(
        select(jobs.c.user_id, jobs.c.id)
        .where(jobs.c.ended_at < ended_before, _purged(what).is_(None))
        .order_by(jobs.c.ended_at)
        .limit(limit)
    )
    return [(row.user_id, row.id) for row in rows]


def record_purged(connection: Connection, what: Purge, job_id: str, now: float) -> None:
    connection.execute(update(jobs).where(jobs.c.id == job_id).values({_purged(what): now}))


def _purged(what: Purge) -> Column[float | None]:
    return jobs.c.inputs_purged_at if what is Purge.INPUTS else jobs.c.results_purged_at


def set_refunded(connection: Connection, job_id: str, refunded: int) -> None:
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(refunded=refunded))


def find_item(connection: Connection, job_id: str, idx: int) -> Item | None:
    row = connection.execute(
        select(items).where(items.c.job_id == job_id, items.c.idx == idx)
    ).one_or_none()
    return None if row is None else _item(row)


def all_items(connection: Connection, job_id: str) -> list[Item]:
    """Every item in full, in order."""
    rows = connection.execute(select(items).where(items.c.job_id == job_id).order_by(items.c.idx))
    return [_item(row) for row in rows]


POLLED = (_FIND[True], _ITEM_STATES)
"""A user's job, and every item without what only its own page shows: the app asks for this every
few seconds. Takes `job_id` and `user_id`."""

_NAMES = [str(column.name) for column in jobs.c]  # of SQLAlchemy's own kind otherwise
_DOCUMENTS = [str(column.name) for column in jobs.c if isinstance(column.type, JSON)]
_STATUS = {status.value: status for status in ItemStatus}


def read_polled(found: Rows, states: Rows) -> tuple[Job, list[ItemState]] | None:
    """What the rows of `POLLED` say; None where the user has no such job."""
    if not found:
        return None
    fields = dict(zip(_NAMES, found[0], strict=True))
    for name in _DOCUMENTS:
        fields[name] = _document(fields[name], object)
    return msgspec.convert(fields, Job), [_state(row) for row in states]


def _state(row: Sequence[object]) -> ItemState:
    idx, status, error = cast("tuple[int, str, object]", tuple(row))
    return ItemState(idx, _STATUS[status], _document(error, ItemError))


def _document(value: object, kind: type[T]) -> T | None:
    """sqlite3 gives a document as text, asyncpg decoded."""
    if isinstance(value, str):
        return msgspec.json.decode(value, type=kind)
    return None if value is None else msgspec.convert(value, kind)


def pending_indices(connection: Connection, job_id: str) -> list[int]:
    rows = connection.execute(
        select(items.c.idx)
        .where(items.c.job_id == job_id, items.c.status == ItemStatus.PENDING)
        .order_by(items.c.idx)
    )
    return list(rows.scalars())


def pending_inputs(connection: Connection, job_id: str) -> list[tuple[int, str | None]]:
    """The items still missing, each with the ETag that its photo had when it was confirmed."""
    rows = connection.execute(
        select(items.c.idx, items.c.input_etag)
        .where(items.c.job_id == job_id, items.c.status == ItemStatus.PENDING)
        .order_by(items.c.idx)
    )
    return [(row.idx, row.input_etag) for row in rows]


def remember_inputs(connection: Connection, job_id: str, etags: Mapping[int, str]) -> None:
    """Keep what a job's photos were like when their upload was confirmed."""
    for idx, etag in etags.items():
        connection.execute(
            update(items)
            .where(items.c.job_id == job_id, items.c.idx == idx)
            .values(input_etag=etag)
        )


def finish_item(
    connection: Connection,
    job_id: str,
    result: ItemResult,
    now: float,
    gpu: GpuTime | None = None,
) -> bool:
    """Write how a pending item ended; False where it had ended before."""
    finished = connection.execute(
        update(items)
        .where(
            items.c.job_id == job_id,
            items.c.idx == result.idx,
            items.c.status == ItemStatus.PENDING,
        )
        .values(
            status=ItemStatus(result.status.value),
            error=_builtins(result.error),
            timings=result.timings,
            warnings=_builtins(result.warnings),
            report=_builtins(result.report),
            attempt=result.attempt,
            ended_at=now,
            gpu_ms=None if gpu is None else gpu.ms,
            gpu_rate=None if gpu is None else gpu.rate,
        )
    )
    return finished.rowcount == 1


def fail_pending_items(connection: Connection, job_id: str, error: ItemError, now: float) -> int:
    """Fail what is still pending and return how many that were."""
    failed = connection.execute(
        update(items)
        .where(items.c.job_id == job_id, items.c.status == ItemStatus.PENDING)
        .values(status=ItemStatus.FAILED, error=_builtins(error), ended_at=now)
    )
    return failed.rowcount


def count_ended_items(connection: Connection, job_id: str, done: int, failed: int) -> Job:
    """Add to the job's counters and return it as it now stands."""
    row = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(done_items=jobs.c.done_items + done, failed_items=jobs.c.failed_items + failed)
        .returning(jobs)
    ).one()
    return _job(row)


def _builtins(value: Struct | Sequence[Struct] | None) -> object:
    return None if value is None else msgspec.to_builtins(value)


def _job(row: Row[tuple[object, ...]]) -> Job:
    return msgspec.convert(row, Job, from_attributes=True)


def _item(row: Row[tuple[object, ...]]) -> Item:
    return msgspec.convert(row, Item, from_attributes=True)
