"""A job from its creation to its end, as its owner sees and steers it."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from edge_api.domain.errors import (
    AlreadyCanceled,
    ConcurrencyLimit,
    CreditsExhausted,
    InvalidRequest,
    InvalidTransition,
    ItemLimit,
    JobNotFound,
    NotFound,
    RuleNotFound,
    TokenInvalid,
    Unavailable,
)
from edge_api.domain.ids import new_id
from edge_api.domain.jobs import CONFIRMED, EXECUTED, JobStatus
from edge_api.domain.plans import MOST_ITEMS
from edge_api.services.idempotency import NO_CLAIM, Claim
from edge_api.services.links import Links, UploadLink
from edge_api.services.rules import known_preset
from edge_api.services.settlement import cancel_job
from edge_api.services.uploads import sort_uploads
from edge_api.storage.database import Database
from edge_api.storage.dispatches import insert_dispatch
from edge_api.storage.jobs import (
    POLLED,
    Execution,
    Item,
    ItemState,
    Job,
    advance_job,
    find_item,
    find_job,
    insert_job,
    list_jobs,
    oldest_created_job_id,
    open_job_ids,
    queue_job,
    read_polled,
    remember_inputs,
)
from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.rules import find_rule
from edge_api.storage.users import find_user, take_job_slot
from shared.keys import input_prefix
from shared.logs import logged_as
from shared.objects import ObjectInfo, StorageUnavailable
from shared.presets import Preset, UnknownTemplate
from shared.rules import (
    InvalidRules,
    Problem,
    RequestedRule,
    ResolvedRules,
    resolve_rules,
)

LISTING_TIMEOUT = 8.0
"""Seconds; the app gives up after 10."""


class Objects(Protocol):
    """The part of the object store that the service needs."""

    def delete(self, keys: Sequence[str]) -> None: ...

    def list(self, prefix: str) -> list[ObjectInfo]: ...

    def ready(self) -> None: ...


class ExecuteRequest(Struct, frozen=True):
    """What to do to the photos of a job. A named rule overrides concepts and protect."""

    concepts: dict[str, RequestedRule] | None = None
    protect: list[str] | None = None
    rule_id: str | None = None
    output_template: str | None = None
    protect_defaults: bool = True


class Jobs:
    """Every method takes the caller's user id: a foreign job is not found."""

    def __init__(
        self, database: Database, objects: Objects, links: Links, wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._links = links
        self._objects = objects
        self._wake_dispatcher = wake

    async def create(
        self, user_id: str, preset_id: str, item_count: int, claim: Claim = NO_CLAIM
    ) -> tuple[str, list[UploadLink]]:
        """Reserve credits and a slot, and make the job; all of it or nothing. Where to upload to
        comes with it."""
        if item_count < 1:
            raise InvalidRequest([Problem("item_count", "must be at least 1")])
        preset = known_preset(preset_id)
        job_id = new_id("job")
        # The database is at work for longer than it takes to sign, and refuses what is too much.
        photos = range(min(item_count, MOST_ITEMS))
        signing = asyncio.create_task(self._links.uploads(user_id, job_id, photos))
        reserve = claim.settling(reserve_job, str)
        try:
            await self._database.write(reserve, user_id, preset.id, item_count, time.time(), job_id)
            return job_id, await signing
        finally:
            signing.cancel()

    async def fetch(self, user_id: str, job_id: str) -> tuple[Job, list[ItemState]]:
        """The items may be a moment ahead of the job, and never behind it: one that has ended has
        only items that have ended."""
        rows = await self._database.glance(POLLED, {"job_id": job_id, "user_id": user_id})
        polled = read_polled(*rows)
        if polled is None:
            raise JobNotFound
        return polled

    async def fetch_item(self, user_id: str, job_id: str, idx: int) -> tuple[Job, Item]:
        return await self._database.read(read_item, user_id, job_id, idx)

    async def page(self, user_id: str, limit: int, before: str | None) -> list[Job]:
        """Raises TokenInvalid for an account that is gone."""
        return await self._database.read(read_page, user_id, limit, before)

    async def confirm(self, user_id: str, job_id: str, claim: Claim = NO_CLAIM) -> Job:
        """Check that every photo is in the bucket, and remember each by its ETag.

        Raises InvalidTransition, which names those that are not there with a fresh URL for each.
        """
        job = await self._database.read(read_owned_job, user_id, job_id)
        etags: dict[int, str] = {}
        if job.status is JobStatus.CREATED:
            uploads = sort_uploads(await self._list_inputs(job), job.total_items)
            if wrong := uploads.wrong:
                links = await self._links.uploads(user_id, job_id, wrong)
                raise InvalidTransition(uploads.describe(), uploads.details(links))
            etags = uploads.etags
        confirm = claim.settling(confirm_job, _id)
        return await self._database.write(confirm, user_id, job_id, etags, time.time())

    async def execute(
        self, user_id: str, job_id: str, request: ExecuteRequest, claim: Claim = NO_CLAIM
    ) -> Job:
        """Fix what the job runs with and put it into the outbox."""
        execute = claim.settling(execute_job, _id)
        job = await self._database.write(execute, user_id, job_id, request, time.time())
        self._wake_dispatcher()
        return job

    async def cancel(self, user_id: str, job_id: str, claim: Claim = NO_CLAIM) -> Job:
        cancel = claim.settling(cancel_owned_job, _id)
        job = await self._database.write(cancel, user_id, job_id, time.time())
        self._wake_dispatcher()
        return job

    async def _list_inputs(self, job: Job) -> list[ObjectInfo]:
        prefix = input_prefix(job.user_id, job.id)
        try:
            async with asyncio.timeout(LISTING_TIMEOUT):
                return await asyncio.to_thread(self._objects.list, prefix)
        except (StorageUnavailable, TimeoutError) as error:
            raise Unavailable("The object store does not answer; try again.") from error


def _id(job: Job) -> str:
    return job.id


def reserve_job(
    connection: Connection,
    user_id: str,
    preset_id: str,
    item_count: int,
    now: float,
    job_id: str | None = None,
) -> str:
    """Returns the job's id, a new one where none is given."""
    user = find_user(connection, user_id)
    if user is None:
        raise TokenInvalid
    if item_count > user.limits.items:
        raise ItemLimit(user.limits.items, item_count)
    _take_slot(connection, user_id, user.limits.concurrent_jobs, now)
    job_id = job_id or new_id("job")
    insert_job(connection, job_id, user_id, preset_id, item_count, now)
    if not move_credits(connection, user_id, Kind.RESERVE, -item_count, now, job_id):
        # Read again: the job that gave way has given its credits back.
        left = find_user(connection, user_id)
        raise CreditsExhausted(left.credits if left else 0, item_count)
    return job_id


def _take_slot(connection: Connection, user_id: str, limit: int, now: float) -> None:
    # The app never cancels a job whose upload broke off: the oldest such job gives way.
    while not take_job_slot(connection, user_id, limit):
        abandoned = oldest_created_job_id(connection, user_id)
        if abandoned is None:
            raise ConcurrencyLimit(limit, open_job_ids(connection, user_id))
        cancel_job(connection, abandoned, now)


def read_page(connection: Connection, user_id: str, limit: int, before: str | None) -> list[Job]:
    jobs = list_jobs(connection, user_id, limit, before)
    if not jobs and find_user(connection, user_id) is None:
        raise TokenInvalid
    return jobs


def read_owned_job(connection: Connection, user_id: str, job_id: str) -> Job:
    job = find_job(connection, job_id, user_id)
    if job is None:
        raise JobNotFound
    return job


def lock_owned_job(connection: Connection, user_id: str, job_id: str) -> Job:
    """The job as it stays until this transaction ends."""
    job = find_job(connection, job_id, user_id, lock=True)
    if job is None:
        raise JobNotFound
    return job


def read_item(connection: Connection, user_id: str, job_id: str, idx: int) -> tuple[Job, Item]:
    job = read_owned_job(connection, user_id, job_id)
    # A number from a path may be larger than any that the database takes.
    item = find_item(connection, job_id, idx) if 0 <= idx < job.total_items else None
    if item is None:
        raise NotFound("The job has no such item.")
    return job, item


def confirm_job(
    connection: Connection, user_id: str, job_id: str, etags: Mapping[int, str], now: float
) -> Job:
    read_owned_job(connection, user_id, job_id)
    if advance_job(connection, job_id, JobStatus.UPLOADED, confirmed_at=now) is not None:
        remember_inputs(connection, job_id, etags)
    job = read_owned_job(connection, user_id, job_id)
    if job.status not in CONFIRMED:
        raise AlreadyCanceled
    return job


def execute_job(
    connection: Connection, user_id: str, job_id: str, request: ExecuteRequest, now: float
) -> Job:
    job = lock_owned_job(connection, user_id, job_id)
    request_hash = _hash(request)
    if job.status in EXECUTED and job.execute_hash == request_hash:
        return job
    _refuse_execution(job.status)
    execution = _plan(connection, job, request, request_hash)
    queued = queue_job(connection, job_id, execution, now)
    assert queued is not None, "the row is locked"
    insert_dispatch(
        connection, new_id("dispatch"), job_id, 1, now, request_id=logged_as("request_id")
    )
    return queued


def preview_job(
    connection: Connection, user_id: str, job_id: str, request: ExecuteRequest
) -> tuple[Job, Execution]:
    """What executing the job would fix; moves nothing. Refuses an executed job whatever it runs
    with."""
    job = read_owned_job(connection, user_id, job_id)
    if job.status in EXECUTED:
        raise InvalidTransition("The job was executed; GET it to see what it runs with.")
    _refuse_execution(job.status)
    return job, _plan(connection, job, request, _hash(request))


def _hash(request: ExecuteRequest) -> str:
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()


def _refuse_execution(status: JobStatus) -> None:
    if status is JobStatus.CANCELED:
        raise AlreadyCanceled
    if status is JobStatus.CREATED:
        raise InvalidTransition("Confirm the upload before executing.")
    if status in EXECUTED:
        raise InvalidTransition("The job already runs with other values.")


def _plan(
    connection: Connection, job: Job, request: ExecuteRequest, request_hash: str
) -> Execution:
    preset = known_preset(job.preset)
    resolved = _resolve(connection, job, preset, request)
    return Execution(
        concepts=resolved.concepts,
        protect=resolved.protect,
        warnings=resolved.warnings,
        output_template=_template(preset, request.output_template),
        request_hash=request_hash,
    )


def _resolve(
    connection: Connection, job: Job, preset: Preset, request: ExecuteRequest
) -> ResolvedRules:
    concepts: Mapping[str, RequestedRule] = request.concepts or {}
    protect: Sequence[str] | None = request.protect
    protect_defaults = request.protect_defaults
    if request.rule_id:
        rule = find_rule(connection, job.user_id, request.rule_id)
        if rule is None:
            raise RuleNotFound
        if rule.preset_id != job.preset:
            raise InvalidRequest(
                [Problem("rule_id", f"the rule is for {rule.preset_id}, the job for {job.preset}")]
            )
        concepts, protect, protect_defaults = rule.concepts, rule.protect, False
    try:
        return resolve_rules(preset, concepts, protect, protect_defaults=protect_defaults)
    except InvalidRules as error:
        raise InvalidRequest(error.problems) from error


def _template(preset: Preset, name: str | None) -> str | None:
    if not name:
        return None
    try:
        return preset.template(name).id
    except UnknownTemplate as error:
        raise InvalidRequest(
            [Problem("output_template", str(error), tuple(error.suggestions))]
        ) from error


def cancel_owned_job(connection: Connection, user_id: str, job_id: str, now: float) -> Job:
    read_owned_job(connection, user_id, job_id)
    cancel_job(connection, job_id, now)
    job = read_owned_job(connection, user_id, job_id)
    if job.status is not JobStatus.CANCELED:
        raise InvalidTransition("The job has ended; there is nothing to cancel.")
    return job
