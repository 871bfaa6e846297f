"""Everything the emulator holds: its endpoints, its faults, and who waits for what."""

import asyncio
import math
import time
from collections.abc import Callable

from msgspec import structs

from infra.local.runpod.endpoint import Endpoint
from infra.local.runpod.faults import Control, Faults
from infra.local.runpod.settings import RunpodSettings
from infra.local.runpod.waiting import Bell
from infra.local.runpod.webhooks import Webhooks

DRAINING_POLL_S = 0.25


class Emulator:
    """An endpoint exists from its first mention. Lives in one event loop."""

    def __init__(
        self, settings: RunpodSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self.faults = Faults()
        self.bell = Bell()
        self.webhooks = Webhooks(settings.webhook_retry_delay, self.faults)
        self.draining = False
        self._clock = clock
        self._endpoints: dict[str, Endpoint] = {}

    def endpoint(self, endpoint_id: str) -> Endpoint:
        if endpoint_id not in self._endpoints:
            self._endpoints[endpoint_id] = Endpoint(
                self.settings, self.faults, self._clock, self.bell.ring, self.webhooks.send
            )
        return self._endpoints[endpoint_id]

    def control(self, control: Control) -> None:
        control.apply(self.faults)
        if isinstance(control.drain, bool):
            self.draining = control.drain
            # Not at once: a worker that has not been told to stop yet asks again immediately.
            self.bell.hurry(DRAINING_POLL_S if control.drain else math.inf)
        for worker_id in control.gone:
            for endpoint in self._endpoints.values():
                endpoint.crew.lose(worker_id)
        self.bell.ring()

    def report(self) -> dict[str, object]:
        """The faults still to come, and the workers of all endpoints, by id."""
        crews = [endpoint.crew for endpoint in self._endpoints.values()]
        return {
            "faults": structs.asdict(self.faults),
            "drain": self.draining,
            "workers": [worker_id for crew in crews for worker_id in crew.present()],
            "retired": [worker_id for crew in crews for worker_id in crew.retired()],
        }

    async def keep_time(self) -> None:
        """Runs until cancelled."""
        while True:
            for endpoint in list(self._endpoints.values()):
                endpoint.sweep()
            await asyncio.sleep(self.settings.sweep_interval)

    def close(self) -> None:
        """Let every held poll go, so that the server can stop at once."""
        self.draining = True
        self.bell.hurry(0)
