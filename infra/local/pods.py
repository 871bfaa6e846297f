"""A worker as a container platform runs it: gone with its main process, and started anew."""

import threading
import time
import uuid
from collections.abc import Callable

from infra.local.control import Platform
from infra.local.processes import Child, NotStarted

FIRST_DELAY_S = 0.3
LONGEST_DELAY_S = 10.0
STABLE_S = 20.0
LOOK_SECONDS = 1.0
STOP_GRACE_S = 10.0

StartWorker = Callable[[str], Child]


class Pod:
    """Keeps one worker running, each time under a new id, and tells the queue when one is gone.

    One that keeps ending soon after its start is started again at growing intervals.
    """

    def __init__(self, name: str, start: StartWorker, platform: Platform) -> None:
        """Starts the first worker. Raises NotStarted."""
        self.name = name
        self.deaths = 0
        self._start = start
        self._platform = platform
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._worker_id, self._child = self._launch()
        self._thread = threading.Thread(target=self._keep, name=f"pod-{name}", daemon=True)
        self._thread.start()

    @property
    def worker_id(self) -> str | None:
        """None between two workers."""
        with self._lock:
            return self._worker_id if self._child.poll() is None else None

    @property
    def pid(self) -> int | None:
        with self._lock:
            return self._child.pid if self._child.poll() is None else None

    def kill(self) -> None:
        """SIGKILL, as for want of memory; the next worker follows."""
        with self._lock:
            child = self._child
        child.kill()

    def begin_stop(self) -> None:
        """No further worker; SIGTERM to this one."""
        self._stopping.set()
        with self._lock:
            child = self._child
        child.terminate()

    def finish_stop(self, grace: float) -> None:
        """Up to `grace` seconds of patience, then SIGKILL."""
        with self._lock:
            child = self._child
        if child.wait(grace) is None:
            child.kill()
        self._thread.join()

    def _launch(self) -> tuple[str, Child]:
        worker_id = f"{self.name}-{uuid.uuid4().hex[:10]}"
        return worker_id, self._start(worker_id)

    def _keep(self) -> None:
        delay = FIRST_DELAY_S
        while True:
            started = time.monotonic()
            self._watch()
            self.deaths += 1
            if self._stopping.is_set():
                return
            self._platform.tell_gone([self._worker_id])
            if time.monotonic() - started >= STABLE_S:
                delay = FIRST_DELAY_S
            if not self._replace(delay):
                return
            delay = min(2 * delay, LONGEST_DELAY_S)

    def _watch(self) -> None:
        """Returns when the worker has ended; stops one that asked for it (`stopPod`)."""
        while self._child.wait(LOOK_SECONDS) is None:
            if not self._stopping.is_set() and self._worker_id in self._platform.report().retired:
                self._child.stop(STOP_GRACE_S)

    def _replace(self, delay: float) -> bool:
        """False where the pod was stopped before the next worker could start."""
        while not self._stopping.wait(delay):
            with self._lock:
                if self._stopping.is_set():
                    return False
                try:
                    self._worker_id, self._child = self._launch()
                except NotStarted:
                    delay = LONGEST_DELAY_S
                    continue
                return True
        return False
