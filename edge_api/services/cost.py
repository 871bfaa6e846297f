"""What photos cost: the estimate for a job before it runs, and the bill by day, preset or user."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from itertools import groupby

from msgspec import Struct
from sqlalchemy import Connection

from edge_api.services.jobs import ExecuteRequest, preview_job
from edge_api.services.meter import Meter
from edge_api.storage.costs import JobCost, costs_since, recent_costs
from edge_api.storage.database import Database
from edge_api.storage.jobs import Execution, Job

RECENT_JOBS = 20
FEWEST_ITEMS = 10
"""Photos that must have been measured before an estimate is made of them."""

ASSUMED_MS = 1000
"""A photo's GPU time where too few were measured. Users report 0.44 s for a photo with SAM3 and
plain PyTorch on a 3090 and 1.1 s on a 4090 with ONNX Runtime (facebookresearch/sam3#424); what
is done to the photo around that overlaps with its neighbours' turns."""


class Basis(StrEnum):
    MEASURED = "measured"
    ASSUMED = "assumed"


class Estimate(Struct, frozen=True):
    """What a job's photos will use and cost, without a worker's start and its idle time."""

    gpu_seconds: float
    usd: float
    basis: Basis
    items_measured: int


class Preview(Struct, frozen=True):
    """What executing a job would do."""

    job: Job
    execution: Execution
    estimate: Estimate


class By(StrEnum):
    DAY = "day"
    PRESET = "preset"
    USER = "user"


class Bill(Struct, frozen=True):
    """`items` are done; `gpu_seconds` also those of failed photos and lost attempts, of which
    `billed_seconds` are Runpod's own figure. `usd_per_item` is None where nothing was done."""

    key: str
    items: int
    gpu_seconds: float
    billed_seconds: float
    usd: float
    usd_per_item: float | None


class Costs(Struct, frozen=True):
    """`total` is the sum of the rows, to the micro-dollar."""

    by: By
    since: str | None
    rows: list[Bill]
    total: Bill


class Previews:
    """Answers what a job would run with and cost; moves nothing."""

    def __init__(self, database: Database, meter: Meter) -> None:
        self._database = database
        self._meter = meter

    async def preview(self, user_id: str, job_id: str, request: ExecuteRequest) -> Preview:
        """Raises what executing raises, and InvalidTransition where the job was executed."""
        return await self._database.read(read_preview, user_id, job_id, request, self._meter)


def read_preview(
    connection: Connection, user_id: str, job_id: str, request: ExecuteRequest, meter: Meter
) -> Preview:
    job, execution = preview_job(connection, user_id, job_id, request)
    recent = recent_costs(connection, job.preset, RECENT_JOBS)
    return Preview(job, execution, estimate(recent, job.total_items, meter.rate))


def estimate(recent: Sequence[JobCost], count: int, rate: int) -> Estimate:
    """For `count` photos, from the median photo of recent jobs; `rate` in nano-dollars/s."""
    measured = sorted((job.ms / job.done, job.done) for job in recent if job.done and job.ms)
    items = sum(done for _, done in measured)
    enough = items >= FEWEST_ITEMS
    ms = _median(measured, items) if enough else ASSUMED_MS
    whole = round(ms * count)
    usd = round(whole * rate / 10**12, 6)
    return Estimate(whole / 1000, usd, Basis.MEASURED if enough else Basis.ASSUMED, items)


def _median(weighted: Sequence[tuple[float, int]], weight: int) -> float:
    """Of values in order, each of which stands there as often as its weight says."""
    passed = 0
    for value, times in weighted:
        passed += times
        if 2 * passed >= weight:
            return value
    raise ValueError("nothing has no median")


def read_costs(connection: Connection, by: By, since: date | None) -> Costs:
    """Of jobs that ended on that day (UTC) or later; a job counts on the day of its end."""
    start = datetime.combine(since or date(1970, 1, 1), time(), UTC)
    found = sorted(costs_since(connection, start.timestamp()), key=_KEYS[by])
    rows = [_bill(key, list(jobs)) for key, jobs in groupby(found, _KEYS[by])]
    return Costs(by, since.isoformat() if since else None, rows, _bill("total", found))


def _bill(key: str, jobs: Sequence[JobCost]) -> Bill:
    items = sum(job.done for job in jobs)
    usd = sum(job.micro_usd for job in jobs) / 10**6
    return Bill(
        key=key,
        items=items,
        gpu_seconds=sum(job.ms for job in jobs) / 1000,
        billed_seconds=sum(job.billed_ms for job in jobs) / 1000,
        usd=usd,
        usd_per_item=round(usd / items, 6) if items else None,
    )


def _day(job: JobCost) -> str:
    return datetime.fromtimestamp(job.ended_at, UTC).date().isoformat()


def _preset(job: JobCost) -> str:
    return job.preset


def _user(job: JobCost) -> str:
    return job.user_id


_KEYS: dict[By, Callable[[JobCost], str]] = {By.DAY: _day, By.PRESET: _preset, By.USER: _user}
