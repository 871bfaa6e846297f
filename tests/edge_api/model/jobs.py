"""What users do with their jobs, and what time does to those they leave."""

from collections.abc import Callable
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from edge_api.domain.errors import (
    AlreadyCanceled,
    ConcurrencyLimit,
    CreditsExhausted,
    InvalidTransition,
    ItemLimit,
    JobNotFound,
)
from edge_api.services.expiry import expire_jobs
from edge_api.services.jobs import (
    ExecuteRequest,
    cancel_owned_job,
    confirm_job,
    execute_job,
    read_owned_job,
    reserve_job,
)
from shared.rules import RequestedRule
from tests.edge_api.model.reach import Met
from tests.edge_api.model.world import PICK, WHO, World

REQUESTS = [
    ExecuteRequest({"Wall": RequestedRule("recolor", value)}) for value in ("oak_a", "sage")
]
COUNTS = st.sampled_from([1, 2, 3, 9, 10, 11, 100, 201])
HOUR, DAY = 3600.0, 86400.0


class Jobs(World):
    def reserve(self, user: str, count: int) -> str | None:
        with suppress(ItemLimit, ConcurrencyLimit, CreditsExhausted):
            job_id = self.commit(reserve_job, user, "interior", count, self.now)
            self.owners[job_id] = user
            return job_id
        return None

    @rule(who=WHO, count=COUNTS)
    def create(self, who: int, count: int) -> None:
        self.reserve(self.user(who), count)

    @rule(who=WHO, count=st.integers(1, 3))
    def queue(self, who: int, count: int) -> None:
        """What the app does when nothing goes wrong."""
        user = self.user(who)
        if job_id := self.reserve(user, count):
            self.commit(confirm_job, user, job_id, {}, self.now)
            self.commit(execute_job, user, job_id, REQUESTS[0], self.now)

    @precondition(lambda self: self.owners)
    @rule(pick=PICK)
    def confirm(self, pick: int) -> None:
        with suppress(AlreadyCanceled):
            self.commit(confirm_job, *self.job(pick), {}, self.now)

    @precondition(lambda self: self.owners)
    @rule(pick=PICK, body=st.sampled_from(REQUESTS))
    def execute(self, pick: int, body: ExecuteRequest) -> None:
        with suppress(AlreadyCanceled, InvalidTransition):
            self.commit(execute_job, *self.job(pick), body, self.now)

    @precondition(lambda self: self.owners)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        self.cancel_job(*self.job(pick))

    def cancel_job(self, user: str, job_id: str) -> None:
        with suppress(InvalidTransition):
            self.commit(cancel_owned_job, user, job_id, self.now)

    @precondition(lambda self: self.owners and len(self.users) > 1)
    @rule(pick=PICK, who=WHO)
    def meddle(self, pick: int, who: int) -> None:
        """Another user's job is not there."""
        owner, job_id = self.job(pick)
        stranger = self.user(who)
        if stranger == owner:
            return
        calls: list[Callable[[], object]] = [
            lambda: self.commit(read_owned_job, stranger, job_id),
            lambda: self.commit(confirm_job, stranger, job_id, {}, self.now),
            lambda: self.commit(execute_job, stranger, job_id, REQUESTS[0], self.now),
            lambda: self.commit(cancel_owned_job, stranger, job_id, self.now),
        ]
        with self.nothing_changes():
            assert all(map(_finds_nothing, calls))

    @rule(seconds=st.sampled_from([1, 6, 61, 301, 3601, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([1, 61, 3601, 90_000]))
    def set_the_clock_back(self, seconds: int) -> None:
        self.now -= seconds

    @rule()
    def expire(self) -> None:
        if self.commit(expire_jobs, self.now - HOUR, self.now - DAY, self.now):
            self.meet(Met.EXPIRED)

    @rule(who=WHO, confirmed=st.booleans())
    def leave_behind(self, who: int, confirmed: bool) -> None:
        """The app was closed in the middle of it, and not opened again."""
        user = self.user(who)
        if (job_id := self.reserve(user, 1)) and confirmed:
            self.commit(confirm_job, user, job_id, {}, self.now)
        self.now += DAY + 1
        self.expire()


def _finds_nothing(call: Callable[[], object]) -> bool:
    try:
        call()
    except JobNotFound:
        return True
    return False
