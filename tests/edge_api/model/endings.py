"""How a worker reports of a photo: rightly, and as somebody would who means harm."""

from collections.abc import Callable
from enum import Enum

from hypothesis import strategies as st
from msgspec.structs import replace

from edge_api.storage.dispatches import Dispatch
from edge_api.storage.jobs import Job
from shared.messages import ItemError, ItemResult, ItemStatus
from tests.edge_api import rows


class End(Enum):
    DONE = "done"
    BROKEN = "broken"  # the photo is at fault: another attempt would fail as well
    HINDERED = "hindered"  # it may pass: another attempt is worth it


ENDS = st.sampled_from([End.DONE, End.DONE, End.BROKEN, End.HINDERED])
PASSING = ItemError("STORAGE_UNAVAILABLE", "The photo could not be fetched.", True)


def result_of(owner: Job, dispatch: Dispatch, idx: int, end: End) -> ItemResult:
    status = ItemStatus.DONE if end is End.DONE else ItemStatus.FAILED
    result = rows.result(owner, dispatch, idx % owner.total_items, status)
    return replace(result, error=PASSING) if end is End.HINDERED else result


Forge = Callable[[Job, ItemResult], ItemResult]

FORGERIES: dict[str, Forge] = {
    "an item too many": lambda job, result: replace(result, idx=job.total_items),
    "an item below": lambda _, result: replace(result, idx=-1),
    "another attempt": lambda _, result: replace(result, attempt=result.attempt + 1),
    "another dispatch": lambda _, result: replace(result, dispatch_id="dispatch_other"),
    "another user's result": lambda _, result: replace(result, output_key="outputs/u/j/0.png"),
    "another user's preview": lambda _, result: replace(result, preview_key="previews/u/j/0.jpg"),
    "another item's key": lambda _, result: replace(result, idempotency_key="job_x:0:attempt1"),
}
