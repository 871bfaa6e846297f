"""Children that never outlive their supervisor, whoever is killed, and in whatever way.

Every process of a family holds the same file lock: it is free when none of them is left.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.local.control import Platform, Report
from infra.local.guardian import LARGEST_LOG, Log
from infra.local.pods import Pod
from infra.local.processes import Child, Command, NotStarted

FAMILY = '''
import fcntl, os, signal, subprocess, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_SH)
deaf = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("child", flush=True)
time.sleep(600)
"""
subprocess.Popen([sys.executable, "-S", "-c", deaf], pass_fds=[lock.fileno()])
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(0.2)
print("parent", os.environ.get("RUNPOD_POD_ID", ""), flush=True)
time.sleep(600)
'''

SUPERVISOR = """
import sys, time
from pathlib import Path
from infra.local.processes import Child, Command
logs, lock, family = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
children = [
    Child(Command(name=name, argv=(sys.executable, "-S", family, lock), env={}), logs / name)
    for name in ("one", "two")
]
print(*[pid for child in children for pid in (child.pid, child.guardian_pid)], flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)


class Family:
    """A command with a child of its own that ignores SIGTERM, as the worker SDK's ping does."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "family.py"
        self.script.write_text(FAMILY)
        self.lock = folder / "lock"
        self.log = folder / "logs" / "family.log"

    def command(self, *options: str, **env: str) -> Command:
        argv = (sys.executable, "-S", str(self.script), str(self.lock), *options)
        return Command(name="family", argv=argv, env=env)

    def start(self, *options: str) -> Child:
        child = Child(self.command(*options), self.log)
        wait_until(lambda: self.said("parent") and self.said("child"))
        return child

    def said(self, word: str) -> bool:
        return self.log.exists() and f"| {word}" in self.log.read_text()

    def is_gone(self) -> bool:
        with self.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


def test_output_goes_to_the_log_with_time_and_name(tmp_path: Path) -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.stdout.write('no end')"
    argv = (sys.executable, "-S", "-c", script)
    child = Child(Command(name="talker", argv=argv, env={}), tmp_path / "t.log")
    assert child.wait(10) == 0
    lines = (tmp_path / "t.log").read_text().splitlines()
    assert [line.split(" | ")[1] for line in lines] == [
        "err",
        "out",
        "no end",
        "ended with exit code 0",
    ]
    assert all(line.startswith("20") and " talker | " in line for line in lines)


def test_a_child_gets_its_own_environment_and_no_open_files(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as opened:
        os.set_inheritable(opened.fileno(), True)
        script = f"""
import os
print("env", sorted(set(os.environ) - {{"LC_CTYPE"}}))
for fd in range(3, {opened.fileno() + 30}):
    try: os.fstat(fd)
    except OSError: continue
    print("inherited", fd)
"""
        argv = (sys.executable, "-S", "-c", script)
        env = {"GREETING": "hello"}
        child = Child(Command(name="c", argv=argv, env=env), tmp_path / "c.log")
        assert child.wait(10) == 0
    log = (tmp_path / "c.log").read_text()
    assert "env ['GREETING']" in log
    assert "inherited" not in log


@pytest.mark.parametrize(("code", "expected"), [("exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_the_exit_code_is_known(tmp_path: Path, code: str, expected: int) -> None:
    argv = (sys.executable, "-S", "-c", f"import os; from sys import exit; {code}")
    child = Child(Command(name="c", argv=argv, env={}), tmp_path / "c.log")
    assert child.wait(10) == expected
    assert child.poll() == expected
    child.terminate()  # nothing is there any more, and nothing happens
    child.kill()


def test_a_command_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    command = Command(name="ghost", argv=("/no/such/program",), env={})
    with pytest.raises(NotStarted, match=r"ghost .* cannot start /no/such/program"):
        Child(command, tmp_path / "ghost.log")


def test_stopping_reaches_helpers_that_ignore_it(family: Family) -> None:
    child = family.start()
    assert not family.is_gone()
    child.stop(grace=5)
    assert child.poll() == 128 + signal.SIGTERM
    wait_until(family.is_gone, 2)
    assert not is_alive(child.guardian_pid)


def test_patience_with_a_deaf_command_ends(family: Family) -> None:
    child = family.start("deaf")
    began = time.monotonic()
    child.stop(grace=0.3)
    assert 0.3 <= time.monotonic() - began < 3
    assert child.poll() == 128 + signal.SIGKILL
    wait_until(family.is_gone, 2)


def test_when_the_command_dies_its_helpers_go_at_once(family: Family) -> None:
    child = family.start()
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(2) == 128 + signal.SIGKILL
    wait_until(family.is_gone, 2)


def test_a_paused_command_is_not_a_dead_one(family: Family) -> None:
    child = family.start()
    os.kill(child.pid, signal.SIGSTOP)
    assert child.wait(0.5) is None
    os.kill(child.pid, signal.SIGCONT)
    child.kill()
    wait_until(family.is_gone, 2)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_guardian_goes_so_does_the_family(family: Family, how: signal.Signals) -> None:
    child = family.start()
    os.kill(child.guardian_pid, how)
    assert child.wait(3) == 128 + signal.SIGKILL
    wait_until(family.is_gone, 3)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_a_killed_supervisor(
    family: Family, tmp_path: Path, how: signal.Signals
) -> None:
    arguments = [str(tmp_path / "logs"), str(family.lock), str(family.script)]
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, *arguments], stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(word) for word in supervisor.stdout.readline().split()]
        wait_until(lambda: not family.is_gone())
        assert all(is_alive(pid) for pid in pids)
        supervisor.send_signal(how)
    wait_until(family.is_gone, 5)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 5)


def test_a_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = Log(tmp_path / "big.log", "big")
    for _ in range(LARGEST_LOG // 60_000 + 2):
        log.feed(b"x" * 60_000 + b"\n")
    assert (tmp_path / "big.old.log").stat().st_size > LARGEST_LOG
    assert (tmp_path / "big.log").stat().st_size < 200_000


class News(Platform):
    """Collects what the queue is told."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "key")
        self.gone: list[str] = []
        self.retired: list[str] = []

    def report(self) -> Report:
        return Report(retired=self.retired)

    def tell_gone(self, worker_ids: object) -> None:
        assert isinstance(worker_ids, list)
        self.gone += worker_ids


@pytest.fixture
def pod(family: Family) -> Iterator[tuple[Pod, News]]:
    news = News()

    def start(worker_id: str) -> Child:
        return Child(family.command(RUNPOD_POD_ID=worker_id), family.log)

    pod = Pod("worker", start, news)
    yield pod, news
    pod.begin_stop()
    pod.finish_stop(2)
    assert family.is_gone()
    assert pod.pid is None


def test_a_worker_comes_back_as_another(pod: tuple[Pod, News], family: Family) -> None:
    keeper, news = pod
    first, pid = keeper.worker_id, keeper.pid
    assert first is not None
    assert pid is not None
    wait_until(lambda: family.said(f"parent {first}"))

    os.kill(pid, signal.SIGKILL)

    wait_until(lambda: keeper.worker_id not in (None, first), 5)
    second = keeper.worker_id
    wait_until(lambda: family.said(f"parent {second}"))
    assert news.gone == [first]
    assert keeper.deaths == 1
    assert keeper.pid != pid
    assert not is_alive(pid)


def test_killing_a_worker_leaves_none_of_its_helpers(pod: tuple[Pod, News], family: Family) -> None:
    keeper, _ = pod
    wait_until(lambda: not family.is_gone())
    keeper.kill()
    assert family.is_gone()
    wait_until(lambda: keeper.pid is not None, 5)


def test_a_worker_that_asked_to_be_stopped_is_replaced(
    pod: tuple[Pod, News], family: Family
) -> None:
    keeper, news = pod
    first = keeper.worker_id
    assert first is not None
    wait_until(lambda: family.said(f"parent {first}"))
    news.retired = [first]
    wait_until(lambda: keeper.worker_id not in (None, first), 8)
    assert news.gone == [first]
