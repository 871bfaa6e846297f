"""News from the handler about one item: verified, fenced, written once."""

import re
import time
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from edge_api.domain.errors import (
    AlreadyCanceled,
    CallbackUnauthorized,
    DomainError,
    InvalidRequest,
    JobNotFound,
    Superseded,
)
from edge_api.domain.jobs import JobStatus
from edge_api.services.attempts import Policy
from edge_api.services.counters import Counters
from edge_api.services.results import check_keys
from edge_api.services.settlement import record_result
from edge_api.settings import Secret
from edge_api.storage.database import Database
from edge_api.storage.dispatches import begin, find_dispatch, last_attempt, record_life
from edge_api.storage.jobs import find_job
from shared.logs import also_log
from shared.messages import ItemResult
from shared.rules import Problem
from shared.signing import InvalidSignature, verify

# Theirs are like `5c0a2f4e-9d1b-4c57-8a3e-6f0b2d7c1e94-u1`.
_RUNPOD_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Callbacks:
    """Receives what the handler reports."""

    def __init__(
        self,
        database: Database,
        secrets: Sequence[Secret],
        policy: Policy,
        counters: Counters | None = None,
    ) -> None:
        self._counters = counters or Counters()
        self._database = database
        self._policy = policy
        self._secrets = [secret.reveal() for secret in secrets]

    async def receive(self, job_id: str, headers: Mapping[str, str], body: bytes) -> bool:
        """True where the item ended through this call; False where it had ended before.

        Raises CallbackUnauthorized, InvalidRequest, JobNotFound, AlreadyCanceled or Superseded.
        """
        try:
            processed = await self._receive(job_id, headers, body)
        except DomainError as error:
            self._counters.count_callback("refused", error.code)
            raise
        self._counters.count_callback("processed" if processed else "repeated")
        return processed

    async def _receive(self, job_id: str, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            verify(self._secrets, headers, body, now=time.time())
        except InvalidSignature as error:
            raise CallbackUnauthorized(str(error)) from error
        result = _parse(body)
        also_log(dispatch_id=result.dispatch_id, attempt=result.attempt)
        now = time.time()
        processed, waited = await self._database.write(
            take_report, job_id, result, self._policy, now
        )
        self._counters.observe_begin(waited)
        return processed


def _parse(body: bytes) -> ItemResult:
    try:
        result = msgspec.json.decode(body, type=ItemResult)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest([Problem("body", str(error))]) from error
    # It becomes part of a path that is called with our key.
    if _RUNPOD_ID.fullmatch(result.runpod_job_id) is None:
        raise InvalidRequest([Problem("runpod_job_id", "is not an id as Runpod makes them")])
    if "\0" in result.dispatch_id:  # PostgreSQL has no NUL in text
        raise InvalidRequest([Problem("dispatch_id", "is not an id")])
    return result


def take_report(
    connection: Connection, job_id: str, result: ItemResult, policy: Policy, now: float
) -> tuple[bool, float | None]:
    """Apply it; and where it is the attempt's first sign of work, how long that took."""
    dispatch = find_dispatch(connection, result.dispatch_id)
    waited = None
    if dispatch is not None and dispatch.job_id == job_id and dispatch.begun_at is None:
        find_job(connection, job_id, lock=True)  # before its attempts, as everybody does
        waited = begin(connection, dispatch.id, now)
    return apply_callback(connection, job_id, result, policy, now), waited


def apply_callback(
    connection: Connection, job_id: str, result: ItemResult, policy: Policy, now: float
) -> bool:
    # Locked, so that no attempt is replaced between the check and what it reports.
    job = find_job(connection, job_id, lock=True)
    if job is None:
        raise JobNotFound
    dispatch = find_dispatch(connection, result.dispatch_id)
    if dispatch is None or (dispatch.job_id, dispatch.attempt) != (job_id, result.attempt):
        raise CallbackUnauthorized("dispatch_id and attempt are not this job's")
    check_keys(job, result)
    if job.status is JobStatus.CANCELED:
        raise AlreadyCanceled
    if dispatch.attempt < last_attempt(connection, job_id):
        raise Superseded
    lease = now + policy.patience.stall
    record_life(connection, dispatch.id, result.runpod_job_id, now, lease)
    last = policy.last_chance(dispatch)
    gpu = policy.meter.time(result.timings, job.total_items)
    return record_result(connection, job_id, result, now, last_chance=last, gpu=gpu)
