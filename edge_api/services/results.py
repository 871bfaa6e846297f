"""Whether a result that somebody reports belongs to the job that it names."""

from edge_api.domain.errors import CallbackUnauthorized
from edge_api.storage.jobs import Job
from shared.keys import output_key, preview_key
from shared.messages import ItemResult, ItemStatus, idempotency_key


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
