"""Looking after attempts: a status that may be old news by the time that it is applied."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec.structs import replace

from edge_api.clients.runpod import RunpodJob, RunpodStatus
from edge_api.services.attempts import apply_status, overdue, resend, retry_or_abandon
from edge_api.services.reconcile import canceled_before, end_overdue
from edge_api.storage.dispatches import (
    Dispatch,
    DispatchState,
    claim_due,
    move,
    postpone,
    postpone_cancel,
)
from tests.edge_api import rows
from tests.edge_api.model.dispatching import BATCH, LEASE, Dispatching
from tests.edge_api.model.endings import ENDS, End, result_of
from tests.edge_api.model.ground import Ground
from tests.edge_api.model.world import PICK, POLICY, take

STATUS = st.sampled_from(RunpodStatus)
ENDED = [RunpodStatus.FAILED, RunpodStatus.COMPLETED]
RETRIES = st.sampled_from([0, 0, 0, 2])


class Reconciling(Dispatching):
    """`asked` are rows that some reconciler has leased and not yet dealt with."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.asked: list[Dispatch] = []

    @rule(limit=st.integers(1, 3))
    def lease_due(self, limit: int) -> None:
        self.asked += self.commit(claim_due, self.now, LEASE, limit)

    @precondition(lambda self: self.asked)
    @rule(pick=PICK, status=STATUS, retries=RETRIES, ends=st.lists(ENDS, max_size=3))
    def look_after(self, pick: int, status: RunpodStatus, retries: int, ends: list[End]) -> None:
        self._look(take(self.asked, pick), status, retries, ends)

    @rule(status=STATUS, ends=st.lists(ENDS, max_size=3))
    def look_after_all(self, status: RunpodStatus, ends: list[End]) -> None:
        """What dispatcher and reconciler do in a minute."""
        self.hand_over()
        self.now += LEASE
        self.look_at_due(status, ends)

    @rule(times=st.integers(1, 3), status=st.sampled_from(ENDED))
    def workers_die(self, times: int, status: RunpodStatus) -> None:
        """One after the other, of the same job."""
        for _ in range(times):
            self.look_after_all(status, [])

    def look_at_due(self, status: RunpodStatus, ends: Sequence[End]) -> None:
        for dispatch in self.commit(claim_due, self.now, LEASE, BATCH):
            self._look(dispatch, status, 0, ends)

    def _look(
        self, dispatch: Dispatch, status: RunpodStatus, retries: int, ends: Sequence[End]
    ) -> None:
        match dispatch.state:
            case DispatchState.CANCELING:
                self._tell(dispatch)
            case DispatchState.SUBMITTED:
                assert dispatch.endpoint_id
                assert dispatch.runpod_job_id
                self._ask(dispatch, status, retries, ends)
            case _:
                self.commit(resend, dispatch, "no sign of life", self.now)

    def _tell(self, dispatch: Dispatch) -> None:
        if dispatch.runpod_job_id is None and dispatch.submitted_at is None:
            moment = self.now - POLICY.patience.cancel
            if not self.read(canceled_before, dispatch.job_id, moment):
                self.commit(postpone_cancel, dispatch.id, self.now + 2.0)
                return
        self.commit(move, dispatch.id, (DispatchState.CANCELING,), DispatchState.ENDED)

    def _ask(
        self, dispatch: Dispatch, status: RunpodStatus, retries: int, ends: Sequence[End]
    ) -> None:
        owner = self.works[dispatch.job_id]
        results = [result_of(owner, dispatch, idx, end) for idx, end in enumerate(ends)]
        answer: RunpodJob = replace(
            rows.completed(dispatch, *results), status=status, retries=retries
        )
        if reason := overdue(dispatch, answer, POLICY, self.now):
            self.commit(end_overdue, dispatch, reason, POLICY, self.now)
        else:
            self.commit(apply_status, dispatch, answer, POLICY, self.now)

    @precondition(lambda self: self.asked)
    @rule(pick=PICK, forgot=st.booleans())
    def runpod_says_nothing(self, pick: int, forgot: bool) -> None:
        """It forgot the job, or it is in trouble."""
        dispatch = take(self.asked, pick)
        if forgot and dispatch.state is DispatchState.SUBMITTED:
            self.commit(retry_or_abandon, dispatch, "forgotten", POLICY, self.now)
            return
        self.commit(postpone, dispatch.id, self.now + 9)
        self.commit(postpone_cancel, dispatch.id, self.now + 9)
