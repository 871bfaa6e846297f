"""What dispatchers and reconcilers do, each at its own pace, and what Runpod answers them."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec.structs import replace
from sqlalchemy import Connection

from edge_api.clients.runpod import (
    RunpodAmbiguous,
    RunpodDenied,
    RunpodError,
    RunpodForgotten,
    RunpodRefused,
    RunpodTransient,
)
from edge_api.domain.jobs import WORKING
from edge_api.services.breaker import THRESHOLD, room
from edge_api.services.dispatch import accept_dispatch, build_message, refuse_dispatch
from edge_api.settings import Settings
from edge_api.storage.dispatches import IN_DOUBT, Dispatch, DispatchState, claim_new, move
from edge_api.storage.endpoints import Breaker, find_breaker
from edge_api.storage.jobs import Job, find_job, pending_indices
from infra.local.store import ServedStore
from tests.edge_api import rows
from tests.edge_api.model.ground import Ground
from tests.edge_api.model.jobs import Jobs
from tests.edge_api.model.world import PICK, POLICY, WHO, take
from tests.edge_api.service import environment

ENDPOINT = "endpoint1"
LEASE = 60.0
TTL = 3900.0
BATCH = 16
PAUSE = POLICY.patience.breaker
MESSAGES = Settings.from_env(
    environment(ServedStore("http://store.test", "b", "k", "s"), "sqlite:///x")
)
REFUSALS: Sequence[RunpodError] = (
    RunpodTransient("429"),
    RunpodAmbiguous("502"),
    RunpodAmbiguous("timeout"),
    RunpodDenied("401"),
    RunpodRefused("400"),
    RunpodForgotten("404"),
)


class Dispatching(Jobs):
    """`leased` are submits under way; `attempts` everything that a worker may ever have got."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.leased: list[Dispatch] = []
        self.attempts: dict[str, Dispatch] = {}
        self.works: dict[str, Job] = {}

    @rule()
    def hand_over(self) -> None:
        """What a dispatcher does when nothing goes wrong."""
        before = len(self.leased)
        self.lease(BATCH)
        for _ in range(len(self.leased) - before):
            self._accept(self.leased.pop())

    @rule(limit=st.integers(1, 3))
    def lease_some(self, limit: int) -> None:
        self.lease(limit)

    def lease(self, limit: int) -> None:
        now = self.now
        breaker = self._breaker()
        claimed = self.commit(_claim, limit, now)
        if breaker.failures >= THRESHOLD:
            assert len(claimed) <= (now >= breaker.open_until), "the endpoint is left alone"
        for dispatch in claimed:
            self.read(self._check_message, dispatch)
        self.leased += claimed
        self.attempts |= {dispatch.id: dispatch for dispatch in claimed}

    def _check_message(self, connection: Connection, dispatch: Dispatch) -> None:
        """It holds what is missing and nothing else, and nobody else is at work on that."""
        message = build_message(connection, dispatch, MESSAGES)
        assert message is not None
        missing = pending_indices(connection, dispatch.job_id)
        assert [item.idx for item in message.items] == missing != []
        self.works[dispatch.job_id] = rows.job(connection, dispatch.job_id)

    @precondition(lambda self: self.leased)
    @rule(pick=PICK)
    def runpod_takes_it(self, pick: int) -> None:
        """From a dispatcher whose lease may long be over."""
        self._accept(take(self.leased, pick))

    def _accept(self, held: Dispatch) -> None:
        taken = self.commit(accept_dispatch, held, ENDPOINT, f"rp-{held.id}", TTL, self.now)
        assert taken == (held.job_id in self.owners), "who was erased has no work at Runpod"
        assert self._breaker() == Breaker()

    @precondition(lambda self: self.leased)
    @rule(pick=PICK, error=st.sampled_from(REFUSALS), tries=st.sampled_from([None, None, 12]))
    def runpod_refuses_it(self, pick: int, error: RunpodError, tries: int | None) -> None:
        held = take(self.leased, pick)
        if tries is not None:
            held = replace(held, tries=tries)
        self.commit(refuse_dispatch, held, error, ENDPOINT, POLICY.patience, self.now)
        if isinstance(error, RunpodDenied):
            assert self.commit(room, ENDPOINT, BATCH, PAUSE, self.now) == 0

    @rule(who=WHO, error=st.sampled_from(REFUSALS))
    def runpod_is_in_trouble(self, who: int, error: RunpodError) -> None:
        """Nothing that is handed over arrives for certain."""
        self.queue(who, 1)
        before = len(self.leased)
        self.lease(BATCH)
        for held in self.leased[before:]:
            self.commit(refuse_dispatch, held, error, ENDPOINT, POLICY.patience, self.now)
        del self.leased[before:]

    @precondition(lambda self: self.leased)
    @rule(pick=PICK)
    def read_too_late(self, pick: int) -> None:
        """A dispatcher that was slow finds a job that needs no worker any more."""
        held = take(self.leased, pick)
        if self.read(build_message, held, MESSAGES) is None:
            job = self.read(find_job, held.job_id)
            assert job is None or job.status not in WORKING
            self.commit(move, held.id, IN_DOUBT, DispatchState.ENDED)
        else:
            self.leased.append(held)

    def _breaker(self) -> Breaker:
        return self.read(find_breaker, ENDPOINT)


def _claim(connection: Connection, limit: int, now: float) -> list[Dispatch]:
    free = room(connection, ENDPOINT, limit, PAUSE, now)
    return claim_new(connection, ENDPOINT, now, LEASE, free) if free else []
