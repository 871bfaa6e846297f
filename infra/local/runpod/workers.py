"""A worker as the service knows it: by its polls and pings."""

import msgspec
from msgspec import Struct


class Worker(Struct, kw_only=True):
    """One container. `seen` is when it last pinged or asked for work.

    `given` are the ids it took and has not answered for, `told` those it was told to stop, and
    `reported` those that its last ping named. A `retired` worker asked to be stopped (`stopPod`)
    and gets nothing more; a `lost` one went silent or is known to be gone.
    """

    id: str
    seen: float
    given: set[str] = msgspec.field(default_factory=set[str])
    told: set[str] = msgspec.field(default_factory=set[str])
    reported: frozenset[str] = frozenset()
    unhealthy: bool = False
    retired: bool = False
    lost: bool = False

    def took(self, job_id: str) -> None:
        self.given.add(job_id)
        self.told.discard(job_id)

    def was_told(self, job_ids: set[str]) -> None:
        self.given -= job_ids
        self.told |= job_ids

    def reports(self, job_ids: frozenset[str]) -> None:
        """The SDK loses a stop that arrives in the tenth of a second between taking a job and
        starting it: whoever still names a job that it was to stop is told again."""
        self.reported = job_ids
        self.given |= self.told & job_ids

    def answered(self, job_id: str) -> None:
        """The worker itself ended this job."""
        self.given.discard(job_id)
        self.told.discard(job_id)
        self.reported -= {job_id}
