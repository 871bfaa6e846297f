"""The whole stack on one machine, for a person, a demo or a test."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from infra.local.control import Platform
from infra.local.errors import StackCancelled, StackError
from infra.local.folder import DataFolder
from infra.local.logs import Echo
from infra.local.running import Running
from infra.local.secret_store import UnreadableSecrets
from infra.local.services import Service, Wishes, local_services
from infra.local.site import Site, UnusableAddress, choose_site
from shared.environment import means_production

STAGE_TIMEOUT_S = 60.0
POLL_SECONDS = 0.1

ChooseServices = Callable[[Site, Wishes, Mapping[str, str]], Sequence[Service]]


class Stack:
    """Store, emulator, API and workers, each a process; `with` starts them and stops them all.

    Nothing of it survives this process, however it ends. A worker that ends is started again, as
    a platform does; any other process that ends stays away until `revive`.
    `data_dir` keeps everything between runs and belongs to one stack at a time. With port 0 the
    API takes a free one. `echo` gets a copy of all log lines. `cancelled` is asked between the
    steps of a start: an exception out of a signal handler could come in the middle of one, where
    a process is there that nobody knows of yet.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int = 1,
        api_env: Mapping[str, str] | None = None,
        worker_env: Mapping[str, str] | None = None,
        services: ChooseServices = local_services,
        environ: Mapping[str, str] | None = None,
        echo: TextIO | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Starts nothing yet, but takes hold of the folder. Raises StackError."""
        environ = os.environ if environ is None else environ
        if means_production(environ.get("ENV", "")):
            raise StackError("ENV: the local stack is not for production")
        self._folder = DataFolder(data_dir)
        try:
            self.site = choose_site(self._folder.path, host, port)
        except (UnusableAddress, UnreadableSecrets) as error:
            self._folder.close()
            raise StackError(str(error)) from error
        wishes = Wishes(workers=workers, api_env=api_env or {}, worker_env=worker_env or {})
        self._services = tuple(services(self.site, wishes, environ))
        platform = Platform(self.site.runpod_url, self.site.secrets.runpod_api_key)
        self._running = Running(self.site.log_dir, platform)
        self._cancelled = cancelled
        self._echo_to = echo
        self._echo: Echo | None = None

    @property
    def api_url(self) -> str:
        return self.site.api_url

    @property
    def store_url(self) -> str:
        return self.site.store_url

    @property
    def runpod_url(self) -> str:
        """Without the `/v2` of the job API."""
        return self.site.runpod_url

    @property
    def log_dir(self) -> Path:
        return self.site.log_dir

    @property
    def processes(self) -> dict[str, int]:
        """The pids of what runs at this moment: `store`, `runpod`, `api`, `worker`, `worker-2`."""
        return self._running.pids()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start every process; what others need is ready before they start.

        Raises StackError, StackCancelled; nothing runs then.
        """
        if self._echo_to is not None:
            logs = [self._running.log_path(service.name) for service in self._services]
            self._echo = Echo(logs, self._echo_to)
        try:
            *earlier, last = self._stages()
            for stage in earlier:
                self._launch(stage)
                self._wait_for(stage, STAGE_TIMEOUT_S)
            self._launch(last)
        except BaseException:
            self.stop()
            raise

    def wait_ready(self, timeout: float | None = None) -> None:
        """Until every probe says yes: the API answers its health check, each worker has reported.

        Raises StackError when that is not so within `timeout` seconds, by default as many as the
        slowest service may need, or at once, with the end of its log, when a process has ended;
        StackCancelled. Also of use after `kill`: waits for the next worker.
        """
        patience = max(service.patience for service in self._services)
        self._wait_for(self._services, patience if timeout is None else timeout)

    def check(self) -> None:
        """Raises StackError, with the end of its log, for a process that ended unasked. A worker
        that is being replaced is none."""
        self._running.check()

    def kill(self, name: str) -> None:
        """SIGKILL to a process and its group, as if the machine ran out of memory. It is gone
        when this returns; a worker comes back by itself."""
        self._running.kill(name)

    def revive(self, name: str) -> None:
        """Start a process that was killed, or ended, as it was before. Raises StackError."""
        self._running.revive(name)

    def stop(self) -> None:
        """Stop everything, what started last first. May be called again."""
        self._running.stop_pods()
        for stage in reversed(self._stages()):
            self._running.stop_children(service.name for service in stage)
        if self._echo is not None:
            self._echo.close()
        self._folder.close()

    def _stages(self) -> list[list[Service]]:
        numbers = sorted({service.stage for service in self._services})
        return [
            [service for service in self._services if service.stage == number] for number in numbers
        ]

    def _launch(self, services: Sequence[Service]) -> None:
        for service in services:
            self._check_cancelled()
            self._running.launch(service)

    def _wait_for(self, services: Sequence[Service], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        deaths = self._running.deaths()
        waiting = [service.name for service in services]
        while waiting := [name for name in waiting if not self._running.is_ready(name)]:
            self._check_cancelled()
            self._running.check(deaths)
            if time.monotonic() >= deadline:
                raise StackError(f"not ready after {timeout:g} s: {', '.join(waiting)}")
            time.sleep(POLL_SECONDS)

    def _check_cancelled(self) -> None:
        if self._cancelled():
            raise StackCancelled
