"""All rules together, what must be true after each, and how everything comes to its end."""

import sys
from collections.abc import Iterable

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from edge_api.clients.runpod import RunpodStatus
from edge_api.services.expiry import expire_jobs
from tests.edge_api.books import assert_books_balance
from tests.edge_api.model import books
from tests.edge_api.model.accounts import Accounts
from tests.edge_api.model.endings import End
from tests.edge_api.model.history import Moment, look
from tests.edge_api.model.jobs import DAY, HOUR
from tests.edge_api.model.keys import Keys
from tests.edge_api.model.reach import met_in
from tests.edge_api.model.reporting import Reporting
from tests.edge_api.model.world import POLICY

ROUNDS = 30
"""Of calm weather after which nothing may be left open."""

_OVER = {"done", "failed", "canceled", "ended", "superseded"}


class Machine(Accounts, Keys, Reporting):
    """What happens to the service's rows."""

    @initialize(counts=st.lists(st.integers(1, 3), max_size=2))
    def begin(self, counts: list[int]) -> None:
        """Two users, and most often jobs that Runpod has: the interesting part comes after."""
        self.sign_up_free()
        self.users.append(self.new_pro_user())
        for count in counts:
            self.queue(1, count)
        self.hand_over()

    @invariant()
    def everything_adds_up(self) -> None:
        if not self.users:
            return  # it has not begun
        self.steps += 1
        if not self.written:
            return
        self.written = False
        moment = look(self.ground)
        if moment == self.history.now:
            return
        books.check(moment)
        self.history.follow(moment)
        self.met.update(met_in(moment))
        self.check_accounts()
        self.check_keys()
        _check_letters(self.history.now)
        _check_retries(self.history.now)

    def teardown(self) -> None:
        if sys.exc_info()[0] is None and self.users:
            self.come_to_rest()

    def come_to_rest(self) -> None:
        """In calm weather everything ends, whatever was lost, refused or forgotten before."""
        met = frozenset(self.met)
        self.now = self.latest + 2 * DAY
        for _ in range(ROUNDS):
            self.commit(expire_jobs, self.now - HOUR, self.now - DAY, self.now)
            if self._at_rest():
                break
            self.hand_over()
            for dispatch in self.at_work():
                for idx in range(self.works[dispatch.job_id].total_items):
                    self.report(dispatch, idx, End.DONE)
            self.look_at_due(RunpodStatus.COMPLETED, [])
            self.now += HOUR
        assert self._at_rest(), "something was left hanging"
        self.everything_adds_up()
        self.read(assert_books_balance)
        self.met = set(met)

    def _at_rest(self) -> bool:
        moment = look(self.ground)
        states = [row[2] for row in moment["jobs"]] + [row[3] for row in moment["dispatches"]]
        return _OVER.issuperset(states)


def _check_letters(moment: Moment) -> None:
    """Exactly what no attempt could finish lies in one dead letter, with its reason."""
    abandoned = {
        (job_id, idx, _error(error)["code"])
        for job_id, idx, status, attempt, _, error in moment["items"]
        if status == "failed" and attempt is None
    }
    letters = [
        (job_id, idx, code)
        for _, job_id, indices, code in moment["dead_letters"]
        for idx in _indices(indices)
    ]
    assert len(letters) == len(set(letters))
    assert set(letters) == abandoned


def _check_retries(moment: Moment) -> None:
    """What may pass is final only where no attempt was left."""
    strikes = {(row[1], row[2]): row[4] for row in moment["dispatches"]}
    for job_id, _, status, attempt, _, error in moment["items"]:
        if status == "failed" and attempt is not None and _error(error)["retryable"]:
            spent = strikes[job_id, attempt]
            assert isinstance(spent, int)
            assert spent + 1 >= POLICY.max_attempts


def _error(text: object) -> dict[str, object]:
    return msgspec.json.decode(str(text), type=dict[str, object])


def _indices(text: object) -> Iterable[int]:
    return msgspec.json.decode(str(text), type=list[int])
