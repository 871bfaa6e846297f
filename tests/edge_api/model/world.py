"""The world that the rules change: a database, a clock in our hands, and what is known of both."""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar, cast

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from sqlalchemy import Connection

from edge_api.domain.plans import Plan
from edge_api.services.attempts import Policy
from tests.edge_api import rows
from tests.edge_api.model.ground import Ground
from tests.edge_api.model.history import History, look
from tests.edge_api.model.reach import LEAST, Met, shares

P = ParamSpec("P")
T = TypeVar("T")

POLICY = Policy()

RUNS, STEPS = 200, 50

# Which of the things there are; small numbers are the newest, which is where most happens.
PICK = st.one_of(st.integers(0, 1), st.integers(0, 20))
# Whose turn it is; most often one of the two that are there from the beginning.
WHO = st.one_of(st.integers(0, 1), st.integers(0, 5))


class World(RuleBasedStateMachine):
    """Every rule is one transaction of a service, or a few that follow one another."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.ground = ground
        self.ground.clear()
        self.now: float = rows.NOW
        self.earliest: float = self.now
        self.latest: float = self.now
        self.history = History()
        self.users: list[str] = []
        self.owners: dict[str, str] = {}
        self.met: set[Met] = set()
        self.steps = 0
        self.written = False

    def commit(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one transaction; no two happen at the same time to the millisecond."""
        self.now += 0.001
        self.written = True
        self.latest = max(self.latest, self.now)
        self.earliest = min(self.earliest, self.now)
        return self.ground.commit(fn, *args, **kwargs)

    def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self.ground.read(fn, *args, **kwargs)

    def meet(self, met: Met) -> None:
        """Note that this run got there by its rules."""
        self.met.add(met)

    def user(self, who: int) -> str:
        return self.users[who % len(self.users)]

    def job(self, pick: int) -> tuple[str, str]:
        """The owner and the id of a job, the newest for 0."""
        job_id = list(self.owners)[-1 - pick % len(self.owners)]
        return self.owners[job_id], job_id

    def new_pro_user(self) -> str:
        """An account that no sign-up makes, and that no budget counts."""
        return self.commit(rows.new_user, Plan.PRO)

    @contextmanager
    def nothing_changes(self) -> Generator[None]:
        """Raises AssertionError where what is kept afterwards is not what was kept before."""
        before = look(self.ground)
        yield
        after = look(self.ground)
        for name, kept in before.items():
            assert kept == after[name], f"{name} changed"


def check(make: Callable[[], World]) -> None:
    """Play 200 runs of 50 steps, and make sure that they got somewhere."""
    worlds: list[World] = []

    def begin() -> World:
        worlds.append(make())
        return worlds[-1]

    try:
        _play(begin, STEPS, [phase for phase in settings().phases if phase is not Phase.shrink])
    except Exception:
        # A run that may not be shorter cannot be made small; what is found once is found again.
        _play(begin, 0, settings().phases)
        raise
    whole = [world.met for world in worlds if world.steps >= STEPS]
    assert len(whole) >= RUNS
    rare = {met: share for met, share in shares(whole).items() if share < LEAST}
    assert not rare, f"the rules hardly lead there any more: {rare}"


def _play(make: Callable[[], World], least: int, phases: Collection[Phase]) -> None:
    # The first step is always the beginning.
    chosen = settings(max_examples=RUNS, stateful_step_count=STEPS + 1, phases=phases)
    # It calls what makes a machine, whatever that is.
    factory = cast(type[RuleBasedStateMachine], make)
    run_state_machine_as_test(factory, settings=chosen, _min_steps=least)


def take(things: list[T], pick: int) -> T:
    """Remove one and return it, the newest for 0."""
    return things.pop(-1 - pick % len(things))
