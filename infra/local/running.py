"""The processes of a stack while they run: started, looked at, killed, stopped."""

import time
from collections.abc import Iterable
from pathlib import Path

from infra.local.control import Platform
from infra.local.errors import StackError
from infra.local.logs import tail
from infra.local.pods import Pod
from infra.local.processes import Child, Command, NotStarted
from infra.local.services import Service

STOP_GRACE_S = 8.0
TAIL_LINES = 25
# One death may be somebody's experiment; the second in a row is a worker that cannot start.
DEATHS_ALLOWED = 1


class Running:
    """Services by name, each a child or, where the platform keeps it up, a pod."""

    def __init__(self, log_dir: Path, platform: Platform) -> None:
        self._log_dir = log_dir
        self._platform = platform
        self._services: dict[str, Service] = {}
        self._children: dict[str, Child] = {}
        self._pods: dict[str, Pod] = {}

    def log_path(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"

    def pids(self) -> dict[str, int]:
        """Of what runs at this moment."""
        children = {name: child.pid for name, child in self._children.items() if _runs(child)}
        pods = {name: pod.pid for name, pod in self._pods.items()}
        return children | {name: pid for name, pid in pods.items() if pid is not None}

    def launch(self, service: Service) -> None:
        """Raises StackError."""
        self._services[service.name] = service
        try:
            if service.pod:
                self._pods[service.name] = self._launch_pod(service)
            else:
                self._children[service.name] = self._launch_child(service, {})
        except NotStarted as error:
            raise StackError(str(error)) from error

    def revive(self, name: str) -> None:
        """Start a child that has ended again, as it was."""
        if self._children[name].poll() is None:
            raise StackError(f"{name} still runs")
        self.launch(self._services[name])

    def is_ready(self, name: str) -> bool:
        """Whether it runs and its probe says yes."""
        service = self._services[name]
        if not service.pod:
            return _runs(self._children[name]) and service.probe(name)
        worker_id = self._pods[name].worker_id
        return worker_id is not None and service.probe(worker_id)

    def deaths(self) -> dict[str, int]:
        """How often each pod has ended so far."""
        return {name: pod.deaths for name, pod in self._pods.items()}

    def check(self, deaths_before: dict[str, int] | None = None) -> None:
        """Raises StackError for a child that has ended, and where `deaths_before` is given for a
        pod that does not stay up."""
        dead = [name for name, child in self._children.items() if not _runs(child)]
        if deaths_before is not None:
            since = {name: pod.deaths - deaths_before[name] for name, pod in self._pods.items()}
            dead += [name for name, count in since.items() if count > DEATHS_ALLOWED]
        if dead:
            path = self.log_path(dead[0])
            raise StackError(f"{dead[0]} ended; the end of {path}:\n{tail(path, TAIL_LINES)}")

    def kill(self, name: str) -> None:
        (self._pods[name] if name in self._pods else self._children[name]).kill()

    def stop_pods(self) -> None:
        """With a queue that knows of it: nothing is handed to a worker that is about to stop."""
        if not self._pods:
            return
        self._platform.drain()
        for pod in self._pods.values():
            pod.begin_stop()
        deadline = time.monotonic() + STOP_GRACE_S
        for pod in self._pods.values():
            pod.finish_stop(max(0.0, deadline - time.monotonic()))
        self._pods.clear()

    def stop_children(self, names: Iterable[str]) -> None:
        stopping = [self._children.pop(name) for name in names if name in self._children]
        for child in stopping:
            child.terminate()
        deadline = time.monotonic() + STOP_GRACE_S
        for child in stopping:
            if child.wait(max(0.0, deadline - time.monotonic())) is None:
                child.kill()

    def _launch_child(self, service: Service, extra: dict[str, str]) -> Child:
        command = Command(name=service.name, argv=service.argv, env={**service.env, **extra})
        return Child(command, self.log_path(service.name))

    def _launch_pod(self, service: Service) -> Pod:
        def start(worker_id: str) -> Child:
            identity = {"RUNPOD_POD_ID": worker_id, "RUNPOD_POD_HOSTNAME": worker_id}
            return self._launch_child(service, identity)

        return Pod(service.name, start, self._platform)


def _runs(child: Child) -> bool:
    return child.poll() is None
