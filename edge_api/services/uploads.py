"""What a listing says of a job's photos when its owner confirms them."""

from collections.abc import Sequence

from msgspec import Struct

from edge_api.services.links import UploadLink
from shared.keys import InvalidKey, parse_key
from shared.messages import MAX_INPUT_BYTES
from shared.objects import ObjectInfo


class Uploads(Struct, frozen=True):
    """Item numbers: `missing` are not there or empty, `too_large` exceed the limit.

    `etags` has those that are as they should be.
    """

    total: int
    missing: list[int]
    too_large: list[int]
    etags: dict[int, str]

    @property
    def wrong(self) -> list[int]:
        """What has to be uploaded again."""
        return sorted({*self.missing, *self.too_large})

    def describe(self) -> str:
        """A sentence for a person."""
        if self.missing:
            return f"{len(self.missing)} of {self.total} photos have not been uploaded."
        limit = MAX_INPUT_BYTES >> 20
        return f"{len(self.too_large)} of {self.total} photos are larger than {limit} MB."

    def details(self, links: Sequence[UploadLink]) -> dict[str, object]:
        return {
            "missing": self.missing,
            "too_large": self.too_large,
            "max_bytes": MAX_INPUT_BYTES,
            "presigned_urls": list(links),
        }


def sort_uploads(found: Sequence[ObjectInfo], total: int) -> Uploads:
    """`found` is the listing of the job's prefix; foreign names in it count for nothing."""
    present = {_index(info.key): info for info in found if info.size > 0}
    sizes = {idx: present[idx].size for idx in range(total) if idx in present}
    too_large = [idx for idx, size in sizes.items() if size > MAX_INPUT_BYTES]
    return Uploads(
        total,
        [idx for idx in range(total) if idx not in sizes],
        too_large,
        {idx: present[idx].etag for idx in sizes if idx not in too_large},
    )


def _index(key: str) -> int | None:
    try:
        return parse_key(key).idx
    except InvalidKey:
        return None
