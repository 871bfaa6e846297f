"""Jobs, money and dispatches under random events: repeated, reordered, stale and late ones.

Every rule is one transaction of a service, on a database in memory, with the clock in our hands.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TypeVar

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import Connection, Engine, create_engine, delete, select
from sqlalchemy.pool import StaticPool

from edge_api.clients.runpod import (
    RunpodAmbiguous,
    RunpodDenied,
    RunpodError,
    RunpodForgotten,
    RunpodRefused,
    RunpodStatus,
    RunpodTransient,
)
from edge_api.domain.errors import (
    AlreadyCanceled,
    ConcurrencyLimit,
    CreditsExhausted,
    InvalidTransition,
    ItemLimit,
    Superseded,
)
from edge_api.domain.jobs import OPEN, TRANSITIONS, JobStatus
from edge_api.domain.plans import Plan
from edge_api.services.attempts import Policy, apply_status, resend, retry_or_abandon
from edge_api.services.callbacks import apply_callback
from edge_api.services.dispatch import refuse_dispatch
from edge_api.services.expiry import expire_jobs
from edge_api.services.jobs import (
    ExecuteRequest,
    cancel_owned_job,
    confirm_job,
    execute_job,
    reserve_job,
)
from edge_api.storage import tables
from edge_api.storage.dispatches import (
    IN_DOUBT,
    LIVE,
    Dispatch,
    claim_due,
    claim_new,
    record_submitted,
)
from shared.messages import ItemResult, ItemStatus
from shared.rules import RequestedRule
from tests.edge_api import rows
from tests.edge_api.books import assert_books_balance

T = TypeVar("T")

LEASE = 60.0
ENDPOINT = "endpoint1"
POLICY = Policy()
REQUESTS = [
    ExecuteRequest({"Wall": RequestedRule("recolor", value)}) for value in ("oak_a", "sage")
]

# Which of the things there are; small numbers are the newest, which is where most happens.
PICK = st.one_of(st.integers(0, 1), st.integers(0, 20))
COUNTS = st.sampled_from([1, 2, 3, 9, 10, 11, 99, 101, 200, 201])
ENDS = st.sampled_from([ItemStatus.DONE, ItemStatus.DONE, ItemStatus.FAILED])


@cache
def _database() -> Engine:
    # The driver leaves transactions to us, as the service's own engine does.
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"isolation_level": None}
    )
    tables.metadata.create_all(engine)
    return engine


def empty_database() -> Engine:
    """One engine for all examples, which remembers the statements that it has compiled."""
    with _database().connect() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(delete(table))
    return _database()


class Jobs(RuleBasedStateMachine):
    """What happens to two users' jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = empty_database()
        self.now = rows.NOW
        self.owners: dict[str, str] = {}
        self.leased: list[Dispatch] = []
        self.asked: list[Dispatch] = []
        self.attempts: dict[str, Dispatch] = {}
        self.seen: dict[str, tuple[JobStatus, int, int]] = {}
        self.ended_items: dict[tuple[str, int], str] = {}

    def commit(self, act: Callable[[Connection], T]) -> T:
        """Run one transaction; whatever it raises rolls it back."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                result = act(connection)
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
            return result

    def job(self, pick: int) -> tuple[str, str]:
        """The owner and the id of a job, the newest for 0."""
        job_id = sorted(self.owners)[-1 - pick % len(self.owners)]
        return self.owners[job_id], job_id

    def attempt(self, pick: int) -> Dispatch:
        return self.attempts[sorted(self.attempts)[-1 - pick % len(self.attempts)]]

    def live_attempts(self) -> list[Dispatch]:
        """Those that somebody works on."""
        states = tables.dispatches.c.state.in_(LIVE)
        found = self.commit(lambda c: c.execute(select(tables.dispatches.c.id).where(states)).all())
        return [self.attempts[found_id] for (found_id,) in found if found_id in self.attempts]

    def result(self, dispatch: Dispatch, idx: int, status: ItemStatus) -> ItemResult:
        owner = self.commit(lambda c: rows.job(c, dispatch.job_id))
        return rows.result(owner, dispatch, idx % owner.total_items, status)

    @initialize(counts=st.lists(st.integers(1, 3), max_size=2))
    def begin(self, counts: list[int]) -> None:
        """Two users, and most often jobs that Runpod has: the interesting part comes after."""
        plans = (Plan.FREE, Plan.PRO)
        self.users = [self.commit(lambda c, p=plan: rows.new_user(c, p)) for plan in plans]
        for count in counts:
            self.queue(1, count)
        self.hand_over()

    def reserve(self, who: int, count: int) -> str | None:
        user = self.users[who]
        with suppress(ItemLimit, ConcurrencyLimit, CreditsExhausted):
            job_id = self.commit(lambda c: reserve_job(c, user, "interior", count, self.now))
            self.owners[job_id] = user
            return job_id
        return None

    @rule(who=st.integers(0, 1), count=COUNTS)
    def create(self, who: int, count: int) -> None:
        self.reserve(who, count)

    @rule(who=st.integers(0, 1), count=st.integers(1, 3))
    def queue(self, who: int, count: int) -> None:
        """What the app does when nothing goes wrong."""
        if job_id := self.reserve(who, count):
            user = self.users[who]
            self.commit(lambda c: confirm_job(c, user, job_id, {}, self.now))
            self.commit(lambda c: execute_job(c, user, job_id, REQUESTS[0], self.now))

    @rule()
    def hand_over(self) -> None:
        """What the dispatcher does when nothing goes wrong."""
        before = len(self.leased)
        self.lease_new(16)
        for pick in range(len(self.leased) - before):
            self.runpod_takes_it(pick)

    @precondition(lambda self: self.owners)
    @rule(pick=PICK)
    def confirm(self, pick: int) -> None:
        user, job_id = self.job(pick)
        with suppress(AlreadyCanceled):
            self.commit(lambda c: confirm_job(c, user, job_id, {}, self.now))

    @precondition(lambda self: self.owners)
    @rule(pick=PICK, body=st.sampled_from(REQUESTS))
    def execute(self, pick: int, body: ExecuteRequest) -> None:
        user, job_id = self.job(pick)
        with suppress(AlreadyCanceled, InvalidTransition):
            self.commit(lambda c: execute_job(c, user, job_id, body, self.now))

    @precondition(lambda self: self.owners)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        self._cancel(self.job(pick)[1])

    @rule(idx=st.integers(0, 2), status=ENDS)
    def cancel_in_the_middle(self, idx: int, status: ItemStatus) -> None:
        for dispatch in self.live_attempts():
            self._call_back(dispatch, idx, status)
            self._cancel(dispatch.job_id)

    def _cancel(self, job_id: str) -> None:
        user = self.owners[job_id]
        with suppress(InvalidTransition):
            self.commit(lambda c: cancel_owned_job(c, user, job_id, self.now))

    @rule(limit=st.integers(1, 3))
    def lease_new(self, limit: int) -> None:
        self._learn(
            self.leased, self.commit(lambda c: claim_new(c, ENDPOINT, self.now, LEASE, limit))
        )

    @rule(limit=st.integers(1, 3))
    def lease_submitted(self, limit: int) -> None:
        claimed = self.commit(lambda c: claim_due(c, self.now, LEASE, limit))
        self._learn(self.asked, claimed)

    def _learn(self, known: list[Dispatch], claimed: list[Dispatch]) -> None:
        known.extend(claimed)
        self.attempts |= {dispatch.id: dispatch for dispatch in claimed}

    @precondition(lambda self: self.leased)
    @rule(pick=PICK)
    def runpod_takes_it(self, pick: int) -> None:
        """By a dispatcher whose lease may long be over."""
        held = self.leased[-1 - pick % len(self.leased)]
        self.commit(
            lambda c: record_submitted(
                c, held.id, f"rp-{held.id}", self.now, self.now + 5, self.now + 3900
            )
        )

    @precondition(lambda self: self.leased)
    @rule(
        pick=PICK,
        error=st.sampled_from(
            [
                RunpodTransient("429"),
                RunpodAmbiguous("502"),
                RunpodDenied("401"),
                RunpodRefused("400"),
                RunpodForgotten(""),
            ]
        ),
        tries=st.sampled_from([None, 12]),
    )
    def runpod_refuses_it(self, pick: int, error: RunpodError, tries: int | None) -> None:
        held = self.leased[-1 - pick % len(self.leased)]
        if tries is not None:
            held = msgspec.structs.replace(held, tries=tries)
        self.commit(lambda c: refuse_dispatch(c, held, error, ENDPOINT, POLICY.patience, self.now))

    @precondition(lambda self: self.asked)
    @rule(pick=PICK, status=st.sampled_from(RunpodStatus), ends=st.lists(ENDS, max_size=3))
    def runpod_says(self, pick: int, status: RunpodStatus, ends: list[ItemStatus]) -> None:
        """An answer to a question that may have been asked long ago."""
        asked = self.asked[-1 - pick % len(self.asked)]
        if asked.state in IN_DOUBT:
            self.commit(lambda c: resend(c, asked, "no sign of life", self.now))
            return
        results = [self.result(asked, idx, end) for idx, end in enumerate(ends)]
        answer = msgspec.structs.replace(rows.completed(asked, *results), status=status)
        self.commit(lambda c: apply_status(c, asked, answer, POLICY, self.now))

    @rule(status=st.sampled_from(RunpodStatus), ends=st.lists(ENDS, max_size=3))
    def ask_about_all(self, status: RunpodStatus, ends: list[ItemStatus]) -> None:
        """What dispatcher and reconciler do in a minute."""
        self.hand_over()
        self.now += LEASE
        before = len(self.asked)
        self.lease_submitted(16)
        for pick in range(len(self.asked) - before):
            self.runpod_says(pick, status, ends)

    @precondition(lambda self: self.asked)
    @rule(pick=PICK)
    def runpod_forgot(self, pick: int) -> None:
        asked = self.asked[-1 - pick % len(self.asked)]
        self.commit(lambda c: retry_or_abandon(c, asked, "forgotten", POLICY, self.now))

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, idx=st.integers(0, 2), status=ENDS)
    def call_back(self, pick: int, idx: int, status: ItemStatus) -> None:
        """From a worker whose attempt may be over."""
        self._call_back(self.attempt(pick), idx, status)

    @rule(ends=st.lists(ENDS, min_size=1, max_size=3))
    def call_back_for_all(self, ends: list[ItemStatus]) -> None:
        """What the workers do when nothing goes wrong."""
        for dispatch in self.live_attempts():
            for idx, status in enumerate(ends):
                self._call_back(dispatch, idx, status)

    def _call_back(self, dispatch: Dispatch, idx: int, status: ItemStatus) -> None:
        result = self.result(dispatch, idx, status)
        with suppress(AlreadyCanceled, Superseded):
            self.commit(lambda c: apply_callback(c, dispatch.job_id, result, POLICY, self.now))

    @rule(seconds=st.sampled_from([1, 6, 61, 3601, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        self.commit(lambda c: expire_jobs(c, self.now - 3600, self.now - 86400, self.now))

    @invariant()
    def the_books_balance_and_what_has_ended_stays_as_it_is(self) -> None:
        with self.engine.connect() as connection:
            assert_books_balance(connection)
            self._check_jobs(connection)
            self._check_items(connection)

    def _check_jobs(self, connection: Connection) -> None:
        columns = tables.jobs.c
        found = connection.execute(
            select(columns.id, columns.status, columns.done_items, columns.failed_items)
        )
        for job_id, status, done, failed in found:
            before = self.seen.get(job_id, (JobStatus.CREATED, 0, 0))
            after = (JobStatus(status), done, failed)
            self.seen[job_id] = after
            assert after == before or reachable(before[0], after[0]), f"{before} became {after}"
            assert after[1] >= before[1]
            assert after[2] >= before[2]

    def _check_items(self, connection: Connection) -> None:
        columns = tables.items.c
        found = connection.execute(
            select(columns.job_id, columns.idx, columns.status).where(columns.status != "pending")
        )
        ended = {(job_id, idx): status for job_id, idx, status in found}
        assert self.ended_items.items() <= ended.items()
        self.ended_items = ended


def reachable(before: JobStatus, after: JobStatus) -> bool:
    """Whether a transaction of several steps may lead from one state to another or the same."""
    if before == after:
        return before in OPEN
    return any(target == after or reachable(target, after) for target in TRANSITIONS[before])


Jobs.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestJobs = Jobs.TestCase
