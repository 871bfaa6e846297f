"""Presigned URLs of a job's objects."""

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct

from edge_api.storage.jobs import Item, Job
from shared.keys import input_key, instances_key, mask_key, output_key, preview_key
from shared.presign import Presigner

SIGNED_AT_ONCE = 50
"""About 13 µs each: other requests wait less than a millisecond for their turn."""


class UploadLink(Struct, frozen=True):
    """PUT the photo's bytes to `url`, with any Content-Type and no other header."""

    idx: int
    url: str
    key: str


class DownloadLink(Struct, frozen=True):
    idx: int
    output_url: str
    preview_url: str


class ItemLinks(Struct, frozen=True):
    """What one done item left in the bucket; `masks` by concept."""

    output_url: str
    preview_url: str
    instances_url: str
    masks: dict[str, str]


class Links:
    """Signs for the phone; the URLs stay the same within a window."""

    def __init__(self, presigner: Presigner) -> None:
        self._presigner = presigner

    async def uploads(self, user_id: str, job_id: str, indices: Sequence[int]) -> list[UploadLink]:
        now, links = time.time(), list[UploadLink]()
        for count, idx in enumerate(indices, 1):
            key = input_key(user_id, job_id, idx)
            links.append(UploadLink(idx, self._presigner.put(key, now=now), key))
            await _let_others(count)
        return links

    def uploads_expire_at(self) -> float:
        """Unix seconds at which URLs handed out now stop working."""
        return self._presigner.expires_at(now=time.time())

    async def downloads(self, job: Job, indices: Sequence[int]) -> list[DownloadLink]:
        now, links = time.time(), list[DownloadLink]()
        for count, idx in enumerate(indices, 1):
            output = self._presigner.get(output_key(job.user_id, job.id, idx), now=now)
            preview = self._presigner.get(preview_key(job.user_id, job.id, idx), now=now)
            links.append(DownloadLink(idx, output, preview))
            await _let_others(count)
        return links

    def item(self, job: Job, item: Item) -> ItemLinks:
        now, owner, idx = time.time(), (job.user_id, job.id), item.idx
        concepts = item.report.masks if item.report else []
        return ItemLinks(
            output_url=self._presigner.get(output_key(*owner, idx), now=now),
            preview_url=self._presigner.get(preview_key(*owner, idx), now=now),
            instances_url=self._presigner.get(instances_key(*owner, idx), now=now),
            masks={
                concept: self._presigner.get(mask_key(*owner, idx, concept), now=now)
                for concept in concepts
            },
        )


async def _let_others(count: int) -> None:
    if count % SIGNED_AT_ONCE == 0:
        await asyncio.sleep(0)
