"""What crosses between the API and the GPU handler: the job message, the callback, the summary."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from shared.rules import ConceptRule

SCHEMA_VERSION = 1
"""Of the job message that is written where nothing else is asked for, and of the summary."""

MAX_INPUT_BYTES = 40 * 1024 * 1024
"""Of one photo: a 100 megapixel JPEG fits, and a worker can hold several."""


ConceptName = Annotated[str, Meta(pattern="[^ _]", max_length=200)]
"""One that `shared.keys` makes a key of; checked where a message is read."""


class ItemStatus(StrEnum):
    """How an item ended; the API adds `pending` for one that has not."""

    DONE = "done"
    FAILED = "failed"


class ItemMessage(Struct, frozen=True):
    """One photo of a job: where it lies and where its results go (object keys).

    `input_etag` is the ETag that the photo had when its owner confirmed it, without quotation
    marks: one that was swapped afterwards is refused. None where nobody looked.
    """

    idx: int
    input_key: str
    output_key: str
    preview_key: str
    input_etag: str | None = None


class JobMessage(Struct, frozen=True, omit_defaults=True):
    """The `input` of a Runpod request. Nothing in it is secret.

    `concepts` holds resolved values: a material id, a hex colour or canonical tone parameters.
    `idempotency_prefix` is the job id; an item's key is `{prefix}:{idx}:attempt{attempt}`.
    `request_id` is that of the call that executed the job, `traceparent` the dispatch's, as W3C
    writes it: they join log lines and traces, and go back with every callback.
    """

    schema_version: int
    job_id: str
    dispatch_id: str
    attempt: int
    user_id: str
    preset: str
    concepts: dict[str, ConceptRule]
    protect: list[str]
    items: list[ItemMessage]
    callback_url: str
    idempotency_prefix: str
    batch_concurrency: int
    request_id: str | None = None
    traceparent: str | None = None


class ItemError(Struct, frozen=True):
    """Why an item failed: a stable code, a sentence for a person, whether trying again may help."""

    code: str
    message: str
    retryable: bool = False


class ItemWarning(Struct, frozen=True):
    """Something a person should know about a finished item."""

    code: str
    message: str
    concept: str | None = None


class ItemReport(Struct, frozen=True):
    """What was found and kept in one photo.

    `instances` counts instances by concept (0 = not found); `max_abs_diff_in_protect` is the
    largest difference between input and result over protected pixels, in levels of 0..255, and
    `protected_pixels_changed` the number of protected pixels that differ.
    """

    engine: str
    width: int
    height: int
    instances: dict[str, int] = {}
    masks: list[ConceptName] = []
    protected_pixels: int = 0
    protected_pixels_changed: int = 0
    max_abs_diff_in_protect: int = 0


class ItemResult(Struct, frozen=True, omit_defaults=True):
    """The body of a callback, sent once per item as soon as the item ended.

    `timings` holds seconds per stage (download, decode, prepare, device_wait, segment, apply,
    encode, upload), `queue_wait` for its turn at a place or a thread of the worker, and `total`,
    which is about their sum.
    """

    idx: int
    status: ItemStatus
    idempotency_key: str
    dispatch_id: str
    attempt: int
    runpod_job_id: str
    output_key: str | None = None
    preview_key: str | None = None
    error: ItemError | None = None
    timings: dict[str, float] | None = None
    warnings: list[ItemWarning] = []
    report: ItemReport | None = None


class JobSummary(Struct, frozen=True):
    """What the handler returns to Runpod: the same items again, small enough for `/status`.

    `stopped` says why items are missing: `cancelled`, `superseded` or `shutdown`; None when all
    items of the message are there. `timings` are those of all items added up, but for `total`;
    photos overlap, so they are more than `seconds`, the wall time. `device_idle` is the share 0..1
    of the wall time in which the device worked for nobody.
    """

    schema_version: int
    job_id: str
    dispatch_id: str
    attempt: int
    engine: str
    items: list[ItemResult]
    stopped: str | None = None
    seconds: float = 0.0
    timings: dict[str, float] = {}
    device_idle: float = 0.0


def idempotency_key(prefix: str, idx: int, attempt: int) -> str:
    """`{job_id}:{idx}:attempt{n}`: one callback for each item and attempt."""
    return f"{prefix}:{idx}:attempt{attempt}"
