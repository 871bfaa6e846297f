"""Kills, full disks, jumping clocks and an emulator with faults, at moments that a seed chooses."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

from infra.local.errors import StackError
from tests.chaos import disk
from tests.chaos.plan import Plan
from tests.chaos.runpod_faults import RunpodFaults
from tests.chaos.stand import Stand
from tests.chaos.weather import Weather
from tests.chaos.witness import Witness

LOOK_S = 0.05
SHARES = {"api": 0.4, "worker": 0.25, "store": 0.2, "runpod": 0.15}
EARLIEST, LATEST = 0.02, 0.93
"""Of the campaign's work: the first and the last moment for a kill."""

PAUSE_S = (0.2, 2.0)
FULL_S = (0.5, 3.0)
JUMP_S = (-20.0, 20.0)
JUMPED_S = (2.0, 8.0)
"""Seconds. A jump stays below the shortened leases, as minutes do below those of production."""


class Storm:
    """Strikes as the work goes on: what comes when is settled before it begins."""

    def __init__(
        self, plan: Plan, stand: Stand, weather: Weather, witness: Witness, faults: RunpodFaults
    ) -> None:
        self.kills: Counter[str] = Counter()
        self.tricks: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stand = stand
        self._weather = weather
        self._witness = witness
        self._faults = faults
        self._writes_here = plan.database_url is None  # a server has a disk of its own
        self._deadline = time.monotonic() + 60 * plan.minutes
        self._luck = random.Random(plan.seed * 7919 + 1)
        self._pending: set[asyncio.Task[None]] = set()
        self._due = sorted(
            [(self._moment(), self._target()) for _ in range(plan.kills)]
            + [(self._moment(), trick) for trick in self._tricks(plan.tricks)]
        )

    @property
    def is_late(self) -> bool:
        """Whether the time of the plan is over."""
        return time.monotonic() >= self._deadline

    async def rage(self, is_busy: Callable[[], bool]) -> None:
        """Returns when all has happened, or nobody works any more, and everything runs again."""
        while self._due and not self.is_late:
            while self._due and self._due[0][0] <= self._witness.progress:
                self._strike(self._due.pop(0)[1])
            if not is_busy() and self._witness.progress < LATEST:
                break
            await asyncio.sleep(LOOK_S)
        while self._pending:
            await asyncio.gather(*self._pending)

    def _moment(self) -> float:
        return self._luck.uniform(EARLIEST, LATEST)

    def _target(self) -> str:
        kind = self._luck.choices(list(SHARES), list(SHARES.values()))[0]
        names = {"api": self._stand.apis, "worker": self._stand.workers}.get(kind, [kind])
        return "kill " + self._luck.choice(names)

    def _tricks(self, count: int) -> list[str]:
        disks = ["full store"]
        if self._writes_here:
            disks += [f"full {name}" for name in self._stand.apis]
        kinds = [*(disks if disk.FEASIBLE else []), "clock", *self._faults.names]
        return [kinds[number % len(kinds)] for number in range(count * len(kinds) // 2)]

    def _strike(self, what: str) -> None:
        verb, _, name = what.partition(" ")
        match verb:
            case "kill":
                deed = self._kill(name)
            case "full":
                deed = self._fill(name)
            case "clock":
                deed = self._jump()
            case fault:
                self.tricks[fault] += 1
                deed = self._faults.strike(fault)
        task = asyncio.create_task(deed)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _kill(self, name: str) -> None:
        if name not in self._stand.stack.processes:
            await asyncio.sleep(self._luck.uniform(*PAUSE_S))  # it lies dead already
            return self._strike(f"kill {name}")
        self._weather.begins(name)
        self.kills[name] += 1
        await asyncio.to_thread(self._stand.stack.kill, name)
        if name in self._stand.workers:
            self._weather.ends(name)  # the platform starts the next one
            return
        await asyncio.sleep(self._luck.uniform(*PAUSE_S))
        await self._revive(name)

    async def _revive(self, name: str) -> None:
        while True:
            try:
                await asyncio.to_thread(self._stand.stack.revive, name)
                break
            except StackError as error:
                self.failures.append(str(error))
                await asyncio.sleep(1.0)
        self._weather.ends(name)

    async def _fill(self, name: str) -> None:
        pid = self._stand.stack.processes.get(name)
        if pid is None or not disk.fill(pid):
            return
        self._weather.begins(f"full {name}")
        self.tricks["full disk"] += 1
        await asyncio.sleep(self._luck.uniform(*FULL_S))
        disk.free(pid)
        self._weather.ends(f"full {name}")

    async def _jump(self) -> None:
        self.tricks["clock jump"] += 1
        self._stand.clock.set(self._luck.uniform(*JUMP_S))
        await asyncio.sleep(self._luck.uniform(*JUMPED_S))
        self._stand.clock.set(0.0)


async def keep_up(stand: Stand, weather: Weather, ended: asyncio.Event) -> None:
    """Start again what ended by itself, as a service manager would: until `ended`."""
    while not ended.is_set():
        await asyncio.sleep(1.0)
        running = stand.stack.processes
        for name in ("store", "runpod", *stand.apis):
            if name not in running and not weather.is_down(name):
                weather.begins(name)
                await asyncio.to_thread(stand.stack.revive, name)
                weather.ends(name)
