"""News from the handler about one item: verified, fenced, written once."""

import time
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from edge_api.domain.errors import (
    AlreadyCanceled,
    CallbackUnauthorized,
    InvalidRequest,
    JobNotFound,
    Superseded,
)
from edge_api.domain.jobs import JobStatus
from edge_api.services.settlement import record_result
from edge_api.settings import Secret
from edge_api.storage.database import Database
from edge_api.storage.dispatches import find_dispatch, last_attempt
from edge_api.storage.jobs import Job, find_job
from shared.keys import output_key, preview_key
from shared.messages import ItemResult, ItemStatus, idempotency_key
from shared.rules import Problem
from shared.signing import InvalidSignature, verify


class Callbacks:
    """Receives what the handler reports."""

    def __init__(self, database: Database, secrets: Sequence[Secret]) -> None:
        self._database = database
        self._secrets = [secret.reveal() for secret in secrets]

    async def receive(self, job_id: str, headers: Mapping[str, str], body: bytes) -> bool:
        """True where the item ended through this call; False where it had ended before.

        Raises CallbackUnauthorized, InvalidRequest, JobNotFound, AlreadyCanceled or Superseded.
        """
        try:
            verify(self._secrets, headers, body, now=time.time())
        except InvalidSignature as error:
            raise CallbackUnauthorized(str(error)) from error
        result = _parse(body)
        return await self._database.write(apply_callback, job_id, result, time.time())


def _parse(body: bytes) -> ItemResult:
    try:
        return msgspec.json.decode(body, type=ItemResult)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest([Problem("body", str(error))]) from error


def apply_callback(connection: Connection, job_id: str, result: ItemResult, now: float) -> bool:
    job = find_job(connection, job_id)
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
    return record_result(connection, job_id, result, now)


def check_keys(job: Job, result: ItemResult) -> None:
    """Raise CallbackUnauthorized unless every key in a result belongs to this job and item."""
    if not 0 <= result.idx < job.total_items:
        raise CallbackUnauthorized("idx is not this job's")
    if result.idempotency_key != idempotency_key(job.id, result.idx, result.attempt):
        raise CallbackUnauthorized("idempotency_key is not this job's")
    owner = (job.user_id, job.id, result.idx)
    failed = result.status is ItemStatus.FAILED
    _check_key("output_key", result.output_key, output_key(*owner), optional=failed)
    _check_key("preview_key", result.preview_key, preview_key(*owner), optional=failed)


def _check_key(name: str, sent: str | None, own: str, *, optional: bool) -> None:
    if sent != own and not (optional and sent is None):
        raise CallbackUnauthorized(f"{name} is not this job's")
