"""What goes to Runpod's REST v2 and comes back: the part of it that is used here.

The recorded schema is `schema/runpod-rest-v2.json`; tests hold every body to it. Answers may have
more fields than these.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

FlashBoot = Literal["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"]
Availability = Literal["NONE", "LOW", "MEDIUM", "HIGH"]


class Wire(Struct, frozen=True, rename="camel", kw_only=True):
    """A field that is UNSET is not sent: a PATCH leaves it as it is."""


class Gpu(Wire, frozen=True):
    pools: list[str] | UnsetType = UNSET
    count: int | UnsetType = UNSET
    min_cuda_version: str | UnsetType | None = UNSET
    excluded_types: list[str] | UnsetType = UNSET


class Workers(Wire, frozen=True):
    """`idle_timeout` in seconds."""

    min: int | UnsetType = UNSET
    max: int | UnsetType = UNSET
    idle_timeout: int | UnsetType = UNSET


class QueueDelay(Wire, tag="QUEUE_DELAY", frozen=True):
    """Seconds that a job waits before another worker is started."""

    queue_delay: float | UnsetType = UNSET


class RequestCount(Wire, tag="REQUEST_COUNT", frozen=True):
    request_count: int | UnsetType = UNSET


class UpdateEndpoint(Wire, frozen=True):
    """`timeout` in milliseconds; `env` replaces the whole of it."""

    name: str | UnsetType = UNSET
    image: str | UnsetType = UNSET
    disk: int | UnsetType = UNSET
    env: dict[str, str] | UnsetType = UNSET
    registry: str | UnsetType | None = UNSET
    gpu: Gpu | UnsetType = UNSET
    workers: Workers | UnsetType = UNSET
    scaling: QueueDelay | UnsetType = UNSET
    timeout: int | UnsetType = UNSET
    flashboot: FlashBoot | UnsetType = UNSET


class CreateEndpoint(UpdateEndpoint, frozen=True):
    type: Literal["QUEUE", "LOAD_BALANCER"] | UnsetType = UNSET


class Endpoint(Struct, frozen=True, rename="camel", kw_only=True):
    """An endpoint as Runpod tells it, secrets in `env` included: it does not show in `repr`."""

    id: str
    name: str
    type: str = "QUEUE"
    image: str = ""
    disk: int | None = None
    env: dict[str, str] = {}
    registry: str | None = None
    gpu: Gpu | None = None
    workers: Workers = Workers()
    scaling: QueueDelay | RequestCount | None = None
    timeout: int | None = None
    flashboot: str = "OFF"

    def __repr__(self) -> str:
        return f"Endpoint({self.id!r}, {self.name!r})"


class EndpointList(Struct, frozen=True):
    endpoints: list[Endpoint]


class Worker(Struct, frozen=True, rename="camel"):
    """`status` is RUNNING, IDLE, INITIALIZING, THROTTLED or UNHEALTHY."""

    id: str
    status: str
    is_stale: bool = False
    gpu_type_id: str | None = None


class WorkerList(Struct, frozen=True):
    workers: list[Worker]

    def count(self, *statuses: str) -> int:
        return sum(worker.status in statuses for worker in self.workers)


class Price(Struct, frozen=True):
    """USD an hour for one GPU."""

    serverless: float | None = None


class GpuType(Struct, frozen=True):
    id: str
    pool: str | None = None
    price: Price = Price()
    availability: Availability = "NONE"


class GpuList(Struct, frozen=True):
    gpus: list[GpuType]


class Problem(Struct, frozen=True):
    """RFC 9457, as Runpod fills it."""

    title: str = ""
    detail: str = ""
    errors: list[str] = []
