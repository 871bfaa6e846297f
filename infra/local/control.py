"""What the container platform and the queue tell each other: here, over the control route."""

from collections.abc import Sequence

import httpx
import msgspec
from msgspec import Struct

TIMEOUT_S = 2.0


class Report(Struct, frozen=True):
    """Worker ids: those that the queue hears from, and those that asked to be stopped."""

    workers: list[str] = []
    retired: list[str] = []


class Platform:
    """Speaks to one emulator. It may be down: nothing here raises for that."""

    def __init__(self, runpod_url: str, api_key: str) -> None:
        self._url = f"{runpod_url}/_control"
        self._headers = {"Authorization": f"Bearer {api_key}"}

    def report(self) -> Report:
        answer = self._call("GET", None)
        return msgspec.json.decode(answer, type=Report) if answer else Report()

    def tell_gone(self, worker_ids: Sequence[str]) -> None:
        """Their containers ended: what they held can be given to others at once."""
        self._call("POST", {"gone": list(worker_ids)})

    def drain(self) -> None:
        """Hand out nothing more. A worker that is told to stop takes a job that still comes, and
        drops it silently."""
        self._call("POST", {"drain": True})

    def _call(self, method: str, body: object) -> bytes | None:
        try:
            with httpx.Client(headers=self._headers, timeout=TIMEOUT_S, trust_env=False) as client:
                answer = client.request(method, self._url, json=body)
        except httpx.TransportError:
            return None
        return answer.content if answer.is_success else None
