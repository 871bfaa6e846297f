"""The stack with stand-ins for its services: order, readiness, restarts, and leaving nothing."""

import fcntl
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from infra.local.errors import StackError
from infra.local.ports import free_port, is_free
from infra.local.probes import is_listening
from infra.local.services import Service, Wishes, local_services
from infra.local.site import Site
from infra.local.stack import Stack
from shared.signing import signing_key

ENVIRON = {"PATH": "/usr/bin:/bin", "HTTP_PROXY": "http://127.0.0.1:9", "SECRET": "of the shell"}

# Both hold a lock for as long as they live, and the second a sign that it has started.
SERVER = """
import fcntl, socket, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_SH)
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print("serving", flush=True)
while True:
    server.accept()[0].close()
"""
WORKER = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_SH)
open(os.path.join(sys.argv[2], os.environ["RUNPOD_POD_ID"]), "w").close()
time.sleep(600)
"""


def stand_ins(site: Site, wishes: Wishes, _: Mapping[str, str]) -> Sequence[Service]:
    """A store, an API and workers that do nothing but be there."""
    lock = str(site.data_dir / "lock")
    seats = site.data_dir / "seats"
    seats.mkdir(exist_ok=True)

    def server(name: str, port: int, stage: int) -> Service:
        return Service(
            name=name,
            argv=(sys.executable, "-S", "-c", SERVER, lock, str(port)),
            env={},
            stage=stage,
            probe=lambda _: is_listening("127.0.0.1", port),
        )

    workers = [
        Service(
            name=f"worker-{number}",
            argv=(sys.executable, "-S", "-c", WORKER, lock, str(seats)),
            env={},
            stage=1,
            pod=True,
            probe=lambda worker_id: (seats / worker_id).exists(),
        )
        for number in range(wishes.workers)
    ]
    return [server("store", site.store_port, 0), server("api", site.api_port, 1), *workers]


def broken(name: str, script: str, *, pod: bool) -> Callable[..., Sequence[Service]]:
    """The stand-ins, and one more that ends at once."""

    def choose(site: Site, wishes: Wishes, environ: Mapping[str, str]) -> Sequence[Service]:
        argv = (sys.executable, "-S", "-c", script)
        fragile = Service(name=name, argv=argv, env={}, stage=1, pod=pod, probe=lambda _: False)
        return [*stand_ins(site, wishes, environ), fragile]

    return choose


def nothing_is_left(data_dir: Path) -> bool:
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)


def said_in(echo: io.StringIO) -> set[str]:
    return {line.split(" ", 1)[1] for line in echo.getvalue().splitlines()}


def test_everything_runs_and_then_nothing_does(tmp_path: Path) -> None:
    echo = io.StringIO()
    with Stack(tmp_path, workers=2, services=stand_ins, echo=echo) as stack:
        stack.wait_ready(20)
        assert stack.processes.keys() == {"store", "api", "worker-0", "worker-1"}
        assert all(psutil.pid_exists(pid) for pid in stack.processes.values())
        assert is_listening("127.0.0.1", stack.site.store_port)
        assert "api | serving" in (stack.log_dir / "api.log").read_text()
        stack.check()
    assert {"api | serving", "store | ended with SIGTERM"} <= said_in(echo)
    assert stack.processes == {}
    assert nothing_is_left(tmp_path)
    assert is_free("127.0.0.1", stack.site.api_port)
    stack.stop()


def test_a_restart_keeps_secrets_and_the_port_in_signed_urls(tmp_path: Path) -> None:
    with Stack(tmp_path, services=stand_ins) as first:
        first.wait_ready(20)
        first.kill("store")
    with Stack(tmp_path, services=stand_ins) as second:
        second.wait_ready(20)
    assert second.site.secrets == first.site.secrets
    assert second.store_url == first.store_url
    mode = stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode)
    assert mode == stat.S_IRUSR | stat.S_IWUSR


def test_each_folder_has_secrets_of_its_own_and_shows_none(tmp_path: Path) -> None:
    stacks = [Stack(tmp_path / name, services=stand_ins) for name in "ab"]
    sites = [stack.site for stack in stacks]
    for stack in stacks:
        stack.stop()
    assert sites[0].secrets.jwt_secret != sites[1].secrets.jwt_secret
    assert sites[0].secrets.jwt_secret not in repr(sites[0])
    for secret in (sites[0].secrets.jwt_secret, sites[0].secrets.callback_secret):
        assert len(signing_key(secret)) >= 32


def test_a_killed_worker_comes_back_and_a_killed_api_stays_away(tmp_path: Path) -> None:
    with Stack(tmp_path, services=stand_ins) as stack:
        stack.wait_ready(20)
        worker, api = stack.processes["worker-0"], stack.processes["api"]

        stack.kill("worker-0")
        assert not psutil.pid_exists(worker)
        stack.wait_ready(20)
        assert stack.processes["worker-0"] != worker
        assert len(list((tmp_path / "seats").iterdir())) == 2

        stack.kill("api")
        assert "api" not in stack.processes
        with pytest.raises(StackError, match="api ended"):
            stack.check()
        stack.revive("api")
        stack.wait_ready(20)
        assert stack.processes["api"] != api
        with pytest.raises(StackError, match="api still runs"):
            stack.revive("api")
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("pod", [False, True])
def test_what_cannot_start_is_told_early_and_with_its_log(tmp_path: Path, pod: bool) -> None:
    choose = broken("bad", "print('JWT_SECRET: is not set'); raise SystemExit(1)", pod=pod)
    began = time.monotonic()
    with (
        pytest.raises(StackError, match=r"(?s)^bad ended.*JWT_SECRET: is not set"),
        Stack(tmp_path, services=choose) as stack,
    ):
        stack.wait_ready(60)
    assert time.monotonic() - began < 20
    assert nothing_is_left(tmp_path)


def test_waiting_has_an_end(tmp_path: Path) -> None:
    choose = broken("slow", "import time; time.sleep(600)", pod=False)
    with (
        pytest.raises(StackError, match=r"not ready after 0.5 s: slow"),
        Stack(tmp_path, services=choose) as stack,
    ):
        stack.wait_ready(0.5)


def test_a_program_that_is_missing_stops_the_rest(tmp_path: Path) -> None:
    def choose(site: Site, wishes: Wishes, environ: Mapping[str, str]) -> Sequence[Service]:
        ghost = Service(name="ghost", argv=("/no/such/program",), env={}, stage=2)
        return [*stand_ins(site, wishes, environ), ghost]

    with pytest.raises(StackError, match="cannot start /no/such/program"):
        Stack(tmp_path, services=choose).start()
    assert nothing_is_left(tmp_path)


def test_a_folder_belongs_to_one_stack_at_a_time(tmp_path: Path) -> None:
    first = Stack(tmp_path, services=stand_ins)
    with pytest.raises(StackError, match="another stack uses it"):
        Stack(tmp_path, services=stand_ins)
    first.stop()
    Stack(tmp_path, services=stand_ins).stop()


def test_what_a_stack_refuses(tmp_path: Path) -> None:
    for env in ("production", " Production", "PROD"):
        with pytest.raises(StackError, match="ENV: the local stack is not for production"):
            Stack(tmp_path, environ={"ENV": env})
    with pytest.raises(StackError, match="host: name this machine's own address"):
        Stack(tmp_path, host="0.0.0.0")
    with pytest.raises(StackError, match=r"cannot listen on 192\.0\.2\.1"):
        Stack(tmp_path, host="192.0.2.1", port=free_port("127.0.0.1"))
    (tmp_path / "secrets.json").write_text('{"jwt_secret": 5}')
    with pytest.raises(StackError, match=r"secrets\.json cannot be used"):
        Stack(tmp_path)


def test_the_real_services_get_what_they_need_and_no_more(tmp_path: Path) -> None:
    stack = Stack(tmp_path, services=stand_ins, environ=ENVIRON)
    stack.stop()
    wishes = Wishes(workers=2, api_env={"LOG_LEVEL": "DEBUG"}, worker_env={"SEGMENTER": "auto"})
    services = {service.name: service for service in local_services(stack.site, wishes, ENVIRON)}
    assert list(services) == ["store", "runpod", "api", "worker", "worker-2"]
    secrets = json.loads((tmp_path / "secrets.json").read_bytes())
    for service in services.values():
        assert service.env["PATH"] == ENVIRON["PATH"]
        assert service.env["HOME"].startswith(str(tmp_path))
        assert not {"HTTP_PROXY", "SECRET"} & service.env.keys()
        assert not set(service.argv) & set(secrets.values())
    api, worker = services["api"].env, services["worker"].env
    assert api["LOG_LEVEL"] == "DEBUG"
    assert worker["SEGMENTER"] == "auto"
    assert api["GPU_CALLBACK_SECRET"] == worker["GPU_CALLBACK_SECRET"]
    assert api["R2_ENDPOINT_URL"] == worker["STORAGE_S3_ENDPOINT"] == stack.store_url
    assert worker["RUNPOD_WEBHOOK_GET_JOB"].startswith(f"{stack.runpod_url}/v2/")
    assert api["RUNPOD_API_KEY"] != worker["RUNPOD_AI_API_KEY"]
    assert not {"JWT_SECRET", "RUNPOD_API_KEY", "DATABASE_URL"} & worker.keys()


def test_what_the_starter_chooses_for_the_workers_reaches_them_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    stack = Stack(tmp_path, services=stand_ins, environ=ENVIRON)
    stack.stop()
    chosen = {"SEGMENTER": "sam3", "SAM3_MODEL": "/models/sam3", "HF_TOKEN": "hf_canary"}

    def worker_of(environ: Mapping[str, str], **worker_env: str) -> Service:
        services = local_services(stack.site, Wishes(worker_env=worker_env), environ)
        assert not any("HF_TOKEN" in service.env for service in services[:-1])
        return services[-1]

    plain, sam3 = worker_of(ENVIRON), worker_of({**ENVIRON, **chosen, "SAM3_DEVICE": ""})
    assert plain.env["SEGMENTER"] == "classical"
    assert {"SAM3_MODEL", "SAM3_DEVICE", "HF_TOKEN"}.isdisjoint(plain.env)
    assert chosen.items() <= sam3.env.items()
    assert "SAM3_DEVICE" not in sam3.env
    assert int(sam3.env["OMP_NUM_THREADS"]) >= 1
    assert sam3.patience > plain.patience
    assert worker_of({**ENVIRON, **chosen}, SEGMENTER="auto").env["SEGMENTER"] == "auto"


SUPERVISOR = """
import sys, time
from pathlib import Path
from infra.local.stack import Stack
from tests.infra.test_stack import stand_ins
with Stack(Path(sys.argv[1]), services=stand_ins) as stack:
    stack.wait_ready(20)
    print(*stack.processes.values(), flush=True)
    time.sleep(600)
"""


def test_nothing_outlives_a_stack_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pids = supervisor.stdout.readline().split()
        assert len(pids) == 3
        assert not nothing_is_left(tmp_path)
        supervisor.kill()
    wait_until(lambda: nothing_is_left(tmp_path), 5)
    Stack(tmp_path, services=stand_ins).stop()


@contextmanager
def command(data_dir: Path, *options: str, **env: str) -> Generator[subprocess.Popen[str]]:
    """The command, killed at the end if the test did not see to it."""
    running = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--data-dir", str(data_dir), *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def test_the_command_says_in_a_line_that_the_port_is_taken(tmp_path: Path) -> None:
    with Stack(tmp_path / "first", services=stand_ins) as stack:
        stack.wait_ready(20)
        taken = str(stack.site.api_port)
        with command(tmp_path / "second", "--port", taken) as running:
            _, said = running.communicate(timeout=30)
    assert running.returncode == 1
    assert said == f"port {taken} on 127.0.0.1 is already in use; choose another\n"


def test_the_command_is_not_for_production(tmp_path: Path) -> None:
    with command(tmp_path, "--port", "0", ENV="production") as running:
        _, said = running.communicate(timeout=30)
    assert running.returncode == 1
    assert said == "ENV: the local stack is not for production\n"


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Whatever runs with the folder's home, guardians included."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("HOME") == str(data_dir / "home"):
                found.append(process)
    return found


@pytest.mark.parametrize(
    ("how", "seconds"),
    [
        (signal.SIGINT, 0.0),
        (signal.SIGTERM, 0.02),
        (signal.SIGKILL, 0.01),
        (signal.SIGINT, 1.5),
        (signal.SIGKILL, 1.5),
    ],
)
def test_the_command_can_be_stopped_at_any_moment(
    tmp_path: Path, how: signal.Signals, seconds: float
) -> None:
    with command(tmp_path, "--port", "0") as running:
        wait_until(lambda: (tmp_path / "logs" / "runpod.log").exists(), 20)
        time.sleep(seconds)
        running.send_signal(how)
        _, said = running.communicate(timeout=30)
    if how is not signal.SIGKILL:
        assert running.returncode == 0, said
        assert said == "stopped\n"
        assert processes_of(tmp_path) == []
    wait_until(lambda: processes_of(tmp_path) == [], 5)


def test_asked_twice_it_leaves_at_once_and_still_leaves_nothing(tmp_path: Path) -> None:
    with command(tmp_path, "--port", "0") as running:
        wait_until(lambda: (tmp_path / "logs" / "worker.log").exists(), 20)
        time.sleep(1)  # the worker is deaf while it imports
        for _ in range(2):
            running.send_signal(signal.SIGINT)
            time.sleep(0.1)
        began = time.monotonic()
        running.communicate(timeout=30)
    assert time.monotonic() - began < 2
    wait_until(lambda: processes_of(tmp_path) == [], 5)
