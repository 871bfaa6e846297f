"""Signing up within the limits, coming back, and being erased."""

from collections import Counter, defaultdict
from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import rule

from edge_api.domain.addresses import limit_group
from edge_api.domain.errors import RateLimited, RuleSlotFull
from edge_api.domain.ids import new_id
from edge_api.domain.plans import LIMITS, Plan
from edge_api.services.accounts import Admission, admit
from edge_api.services.erasure import begin_erasure
from edge_api.services.rules import drop_rule, save_rule
from edge_api.storage.rate_limits import Rate
from edge_api.storage.rules import Rule
from shared.rules import RequestedRule
from tests.edge_api.model.ground import Ground
from tests.edge_api.model.history import look
from tests.edge_api.model.reach import Met
from tests.edge_api.model.world import WHO, World

SIGN_UPS = Rate(4, 3600.0)
ADMISSION = Admission(SIGN_UPS, 45, b"device:model")
DEVICES = st.sampled_from([None, None, "phone", "tablet"])
# One after another, from the same place: what the limits are there for.
TIMES = st.sampled_from([1, 1, 4])
ADDRESSES = st.sampled_from(["203.0.113.7", "2001:db8::1", "2001:db8::2:1"])


class Accounts(World):
    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.devices: dict[str, str] = {}
        self.served: set[str] = set()
        self.granted: Counter[str] = Counter()
        self.admitted: Counter[str] = Counter()
        self.saved: defaultdict[str, list[str]] = defaultdict(list)

    def sign_up_free(self) -> None:
        self._sign_up(None, "198.51.100.1")

    @rule(device=DEVICES, address=ADDRESSES, times=TIMES)
    def sign_up(self, device: str | None, address: str, times: int) -> None:
        for _ in range(times):
            self._sign_up(device, address)

    def _sign_up(self, device: str | None, address: str) -> None:
        day = datetime.fromtimestamp(self.now, UTC).date().isoformat()
        try:
            user, is_new = self.commit(admit, device, address, ADMISSION, self.now)
        except RateLimited:
            assert device not in self.devices, "a known device signs in as often as it likes"
            self.meet(Met.LIMITED)
            return
        assert is_new == (device not in self.devices)
        if not is_new:
            assert user.id == self.devices[str(device)]
            return
        first = device is None or device not in self.served
        assert user.credits == (LIMITS[Plan.FREE].credits if first else 0)
        self.users.append(user.id)
        if first:
            self.granted[day] += user.credits
        self._count(limit_group(address))
        if device is not None:
            self.devices[device] = user.id
            self.served.add(device)

    def _count(self, group: str) -> None:
        """However the clock goes, an address opens no more than fit into the time that passed."""
        self.admitted[group] += 1
        passed = self.latest - self.earliest
        assert self.admitted[group] <= SIGN_UPS.calls + passed / SIGN_UPS.interval

    @rule(who=WHO)
    def save_rule(self, who: int) -> None:
        user, concepts = self.user(who), {"Wall": RequestedRule("recolor", "sage")}
        saved = Rule(new_id("rule"), "r", "interior", concepts, [], self.now, self.now)
        try:
            self.commit(save_rule, user, saved)
        except RuleSlotFull:
            return
        self.saved[user].append(saved.id)

    @rule(who=WHO, twice=st.booleans())
    def drop_rule(self, who: int, twice: bool) -> None:
        user = self.user(who)
        if self.saved[user]:
            rule_id = self.saved[user].pop()
            assert self.commit(drop_rule, user, rule_id)
            assert not (twice and self.commit(drop_rule, user, rule_id))

    @rule(who=st.integers(2, 8))
    def erase(self, who: int) -> None:
        """Somebody leaves; of the two from the beginning one does now and then."""
        if who >= len(self.users) and who != 8:
            return
        user = self.users.pop(who % len(self.users))
        running = self._at_runpod(user)
        erasure = self.commit(begin_erasure, user, self.now, self.now + 999)
        assert {job.runpod_job_id for job in erasure.runpod_jobs} == running
        self._forget(user)
        self.meet(Met.ERASED)
        if not self.users:
            self.users.append(self.new_pro_user())

    def _at_runpod(self, user: str) -> set[str]:
        own = {job for job, owner in self.owners.items() if owner == user}
        return {
            str(row[6])
            for row in look(self.ground)["dispatches"]
            if row[1] in own and row[3] in {"submitted", "canceling"} and row[6] is not None
        }

    def _forget(self, user: str) -> None:
        own = {job for job, owner in self.owners.items() if owner == user}
        self.history.forget(user)
        self.devices = {device: owner for device, owner in self.devices.items() if owner != user}
        self.owners = {job: owner for job, owner in self.owners.items() if job not in own}
        self.saved.pop(user, None)
        for table, kept in look(self.ground).items():
            assert not any({user, *own} & set(row) for row in kept), f"{table} of his remain"

    def check_accounts(self) -> None:
        """Who is there, what was given away, and whose jobs there are: just what was answered."""
        moment = self.history.now
        assert {row[0]: row[1] for row in moment["credit_budgets"]} == self.granted
        assert all(granted <= ADMISSION.daily_credits for granted in self.granted.values())
        assert {row[0] for row in moment["users"]} == set(self.users)
        assert {row[1]: row[0] for row in moment["users"] if row[1] is not None} == self.devices
        assert {row[0]: row[1] for row in moment["jobs"]} == self.owners
