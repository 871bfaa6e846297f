"""The local stack, rewired for a campaign: several API processes, proxies between its parts, and
time limits that let a campaign end in minutes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import structs

from infra.local.ports import free_port
from infra.local.services import Service, Wishes, local_services
from infra.local.site import Site
from infra.local.stack import Stack
from tests.chaos.clock import Clock
from tests.chaos.plan import Plan

HEARTBEAT_TIMEOUT_S = "6"
SHORTENED = {
    "DISPATCH_LEASE_SEC": "5",
    "RECONCILE_LEASE_SEC": "5",
    "CANCEL_GRACE_SEC": "8",
    "UNCERTAIN_GRACE_SEC": "10",
    "STALL_TIMEOUT_SEC": "30",
    "STUCK_TIMEOUT_SEC": "60",
    "BREAKER_PAUSE_SEC": "2",
    "BREAKER_MAX_SEC": "5",
    "IDEMPOTENCY_LOCK_SEC": "6",
    "RUNPOD_TIMEOUT_SEC": "4",
    "JOB_TIMEOUT_SEC": "30",
    "ITEM_TIMEOUT_SEC": "1",
    "DISPATCH_BACKOFF_MAX_SEC": "5",
    "EXPIRE_INTERVAL_SEC": "5",
    "UPLOAD_WINDOW_SEC": "90",
    "EXECUTE_WINDOW_SEC": "90",
}
"""What a job waits for when somebody died holding it; minutes in production."""

UNLIMITED = {
    "SIGNUPS_PER_HOUR": "100000",
    "FREE_CREDITS_PER_DAY": "100000000",
    "CALLS_PER_MINUTE": "1000000",
}
"""Everybody comes from one address here, and nobody is to be slowed down."""


class Stand:
    """Where everything is. `addresses` are those of the API processes, the first one first.

    `proxy_url` is where the campaign's own servers listen: callbacks at its root, Runpod at `/v2`.
    """

    def __init__(self, folder: Path, plan: Plan, proxy_url: str) -> None:
        self.addresses: list[str] = []
        self.clock = Clock(_made(folder) / "clock")
        self._plan = plan
        self._proxy_url = proxy_url
        self.stack = Stack(folder / "stack", workers=plan.workers, services=self._services)
        local = f"sqlite:///{self.stack.site.data_dir / 'edge.db'}"
        self.database_url = plan.database_url or local

    @property
    def apis(self) -> list[str]:
        """The names of the API processes."""
        return ["api", *(f"api-{number}" for number in range(2, self._plan.processes + 1))]

    @property
    def workers(self) -> list[str]:
        return ["worker", *(f"worker-{number}" for number in range(2, self._plan.workers + 1))]

    def _services(
        self, site: Site, wishes: Wishes, environ: Mapping[str, str]
    ) -> Sequence[Service]:
        found = {service.name: service for service in local_services(site, wishes, environ)}
        api, runpod = found.pop("api"), found.pop("runpod")
        return (
            structs.replace(runpod, argv=_with_heartbeat(runpod.argv)),
            *found.values(),
            *(self._api(api, site, name) for name in self.apis),
        )

    def _api(self, api: Service, site: Site, name: str) -> Service:
        port = site.api_port if name == "api" else free_port(site.host)
        address = f"http://{site.host}:{port}"
        self.addresses.append(address)
        own = {"PUBLIC_URL": self._proxy_url, "RUNPOD_BASE_URL": f"{self._proxy_url}/v2"}
        if self._plan.database_url is not None:
            own["DATABASE_URL"] = self._plan.database_url
        if name == self.apis[-1]:
            own |= self.clock.env
        env = {**api.env, **SHORTENED, **UNLIMITED, **own, **self._plan.api_env}
        argv = [*api.argv[:-1], str(port)]
        return structs.replace(api, name=name, argv=tuple(argv), env=env)


def _with_heartbeat(argv: tuple[str, ...]) -> tuple[str, ...]:
    """A worker that dies while the emulator is down is missed by its pings alone."""
    place = argv.index("--heartbeat-timeout") + 1
    return (*argv[:place], HEARTBEAT_TIMEOUT_S, *argv[place + 1 :])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
