"""Workers that report: in time, late, twice, for an attempt that is over, or for somebody else."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import Connection, select

from edge_api.domain.errors import AlreadyCanceled, CallbackUnauthorized, JobNotFound, Superseded
from edge_api.domain.jobs import JobStatus
from edge_api.services.callbacks import apply_callback
from edge_api.storage.dispatches import LIVE, Dispatch, last_attempt
from edge_api.storage.jobs import find_job
from edge_api.storage.tables import dispatches
from tests.edge_api.model.endings import ENDS, FORGERIES, End, result_of
from tests.edge_api.model.reach import Met
from tests.edge_api.model.reconciling import Reconciling
from tests.edge_api.model.world import PICK, POLICY

_AT_WORK = select(dispatches.c.id).where(dispatches.c.state.in_(LIVE)).order_by(dispatches.c.id)


class Reporting(Reconciling):
    def attempt(self, pick: int) -> Dispatch:
        """One that a worker may have got, the newest for 0."""
        return list(self.attempts.values())[-1 - pick % len(self.attempts)]

    def at_work(self) -> list[Dispatch]:
        """What somebody may be working on rightly."""
        live = self.read(lambda connection: connection.execute(_AT_WORK).scalars().all())
        return [self.attempts[found] for found in live if found in self.attempts]

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, idx=st.integers(0, 2), end=ENDS)
    def call_back(self, pick: int, idx: int, end: End) -> None:
        self.report(self.attempt(pick), idx, end)

    @rule(ends=st.lists(ENDS, min_size=1, max_size=3))
    def call_back_for_all(self, ends: list[End]) -> None:
        """What the workers do when nothing goes wrong."""
        for dispatch in self.at_work():
            for idx, end in enumerate(ends):
                self.report(dispatch, idx, end)

    @rule(end=ENDS)
    def work_through(self, end: End) -> None:
        """Whole jobs, from the outbox to their end."""
        self.hand_over()
        for dispatch in self.at_work():
            for idx in range(self.works[dispatch.job_id].total_items):
                self.report(dispatch, idx, end if idx else End.DONE)

    @rule(end=ENDS, again=st.booleans())
    def come_back_late(self, end: End, again: bool) -> None:
        """The newest attempts report, whatever became of them; some twice."""
        for dispatch in list(self.attempts.values())[-3:]:
            for _ in range(1 + again):
                self.report(dispatch, 0, end)

    @rule(idx=st.integers(0, 2), end=ENDS)
    def cancel_in_the_middle(self, idx: int, end: End) -> None:
        for dispatch in self.at_work():
            self.report(dispatch, idx, end)
            self.cancel_job(self.owners[dispatch.job_id], dispatch.job_id)

    def report(self, dispatch: Dispatch, idx: int, end: End) -> None:
        """Only the newest attempt of a job that is there and not canceled is listened to."""
        job_id = dispatch.job_id
        result = result_of(self.works[job_id], dispatch, idx, end)
        status, newest = self.read(_standing, job_id)
        try:
            processed = self.commit(apply_callback, job_id, result, POLICY, self.now)
        except JobNotFound:
            assert status is None
        except AlreadyCanceled:
            assert status is JobStatus.CANCELED
        except Superseded:
            assert dispatch.attempt < newest
            self.meet(Met.SUPERSEDED)
        else:
            assert status not in {None, JobStatus.CANCELED}
            assert dispatch.attempt == newest, "a superseded attempt is not listened to"
            if not processed:
                self.meet(Met.REPEATED)

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, idx=st.integers(0, 2), end=ENDS, how=st.sampled_from(sorted(FORGERIES)))
    def forge(self, pick: int, idx: int, end: End, how: str) -> None:
        """What is not this job's is refused, whatever became of the job."""
        dispatch = self.attempt(pick)
        job = self.works[dispatch.job_id]
        forged = FORGERIES[how](job, result_of(job, dispatch, idx, end))
        try:
            self.commit(apply_callback, job.id, forged, POLICY, self.now)
        except CallbackUnauthorized:
            self.meet(Met.FORGED)
            return
        except JobNotFound:
            assert job.id not in self.owners
            return
        raise AssertionError(f"{how} was believed")


def _standing(connection: Connection, job_id: str) -> tuple[JobStatus | None, int]:
    job = find_job(connection, job_id)
    return None if job is None else job.status, last_attempt(connection, job_id)
