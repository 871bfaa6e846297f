"""What the services need of whoever hands jobs to workers."""

from typing import Protocol

from edge_api.clients.runpod import RunpodJob, Workers
from shared.versions import WrittenMessage


class WorkerQueue(Protocol):
    """Runpod's job API, or something that behaves like it. Every method raises RunpodError."""

    async def submit(
        self, endpoint_id: str, message: WrittenMessage, *, execution_timeout: float, ttl: float
    ) -> str:
        """The queue's own id of the job. Times in seconds."""
        ...

    async def status(self, endpoint_id: str, runpod_job_id: str) -> RunpodJob:
        """Raises RunpodForgotten half an hour after the job's end."""
        ...

    async def cancel(self, endpoint_id: str, runpod_job_id: str) -> None: ...

    async def workers(self, endpoint_id: str) -> Workers: ...

    async def close(self) -> None: ...
