"""The versions of the job message that may be on their way at one time.

Both programs work with `JobMessage`, which is version 1. Another version is a struct of its own,
made of a `JobMessage` where it is written and made one again where it is read.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, assert_never

from msgspec import Meta, Struct
from msgspec.structs import asdict

from shared.keys import input_key, output_key, preview_key
from shared.messages import SCHEMA_VERSION, ItemMessage, JobMessage
from shared.rules import ConceptRule

PartOfKey = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]


class ShortItem(Struct, frozen=True, omit_defaults=True):
    """One photo; where it lies follows from the job. `input_etag` as in `ItemMessage`."""

    idx: Annotated[int, Meta(ge=0, le=999_999)]
    input_etag: str | None = None


class ShortJobMessage(Struct, frozen=True, omit_defaults=True):
    """Version 2: as `JobMessage`, but its items carry no keys. With 200 photos a sixth as long.

    Everything that `shared.keys` makes a key of is checked where a message is read.
    """

    schema_version: int
    job_id: PartOfKey
    dispatch_id: str
    attempt: int
    user_id: PartOfKey
    preset: str
    concepts: dict[str, ConceptRule]
    protect: list[str]
    items: list[ShortItem]
    callback_url: str
    idempotency_prefix: str
    batch_concurrency: int
    request_id: str | None = None
    traceparent: str | None = None


WrittenMessage: TypeAlias = JobMessage | ShortJobMessage

READS: Mapping[int, type[WrittenMessage]] = {SCHEMA_VERSION: JobMessage, 2: ShortJobMessage}
"""What a handler reads, and an API may be told to write. A version is taken out of here when no
process writes it any more and no job that it wrote can still be in a queue."""


def write(message: JobMessage, version: int) -> WrittenMessage:
    """`message` in another version; KeyError for one that nobody reads."""
    if READS[version] is JobMessage:
        return message
    items = [ShortItem(item.idx, item.input_etag) for item in message.items]
    fields: dict[str, Any] = asdict(message) | {"schema_version": version, "items": items}
    return ShortJobMessage(**fields)


def read(written: WrittenMessage) -> JobMessage:
    """What both programs work with, whatever the version was."""
    match written:
        case JobMessage():
            return written
        case ShortJobMessage():
            items = [_whole(written, item) for item in written.items]
            whole = {"schema_version": SCHEMA_VERSION, "items": items}
            fields: dict[str, Any] = asdict(written) | whole
            return JobMessage(**fields)
        case _:
            assert_never(written)


def _whole(message: ShortJobMessage, item: ShortItem) -> ItemMessage:
    owner = (message.user_id, message.job_id, item.idx)
    keys = (input_key(*owner), output_key(*owner), preview_key(*owner))
    return ItemMessage(item.idx, *keys, input_etag=item.input_etag)
