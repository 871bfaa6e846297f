"""Requests with an Idempotency-Key: begun, carried out, given up, taken over, repeated."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec import Struct

from edge_api.domain.errors import (
    ConcurrencyLimit,
    CreditsExhausted,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    ItemLimit,
    TokenInvalid,
)
from edge_api.services.idempotency import LIFETIME, Claim, claim_key
from edge_api.services.jobs import reserve_job
from edge_api.storage.idempotency import forget_keys, release_key
from tests.edge_api.model.ground import Ground
from tests.edge_api.model.reach import Met
from tests.edge_api.model.world import PICK, WHO, World, take

LOCK = 15.0
KEYS = st.sampled_from(["k1", "k1", "k2"])


class Stored(Struct, frozen=True):
    """What must be kept of a key."""

    fingerprint: str
    until: float
    created_at: float
    result: str | None = None


class Request(Struct, frozen=True):
    """One that is being carried out."""

    user: str
    key: str
    count: int
    claim: Claim


class Keys(World):
    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.keys: dict[tuple[str, str], Stored] = {}
        self.requests: list[Request] = []

    @rule(who=WHO, key=KEYS, count=st.sampled_from([1, 1, 2]))
    def begin_request(self, who: int, key: str, count: int) -> None:
        """Of what comes with a key exactly this may happen, and nothing else."""
        user, fingerprint = self.user(who), f"create {count}"
        now = self.now
        stored = self.keys.get((user, key))
        try:
            claim = self.commit(claim_key, user, key, fingerprint, LOCK, now)
        except IdempotencyKeyReused:
            assert stored is not None
            assert stored.fingerprint != fingerprint
            return
        except IdempotencyKeyInUse:
            assert stored is not None
            assert stored.result is None
            assert stored.until > now
            return
        self._claimed(Request(user, key, count, claim), stored, now)

    def _claimed(self, request: Request, stored: Stored | None, now: float) -> None:
        fingerprint, claim = f"create {request.count}", request.claim
        if stored is not None:
            assert stored.fingerprint == fingerprint
            assert claim.result == stored.result, "a key leads to one result"
            assert stored.result is not None or stored.until <= now
            if stored.result is not None:
                self.meet(Met.REPLAYED)
        if claim.result is None:
            created = now if stored is None else stored.created_at
            until = now + LOCK
            self.keys[request.user, request.key] = Stored(fingerprint, until, created)
            self.requests.append(request)

    @precondition(lambda self: self.requests)
    @rule(pick=PICK)
    def carry_out(self, pick: int) -> None:
        """By a process that may have slept until another took its key over."""
        request = take(self.requests, pick)
        name = (request.user, request.key)
        stored = self.keys.get(name)
        holds = stored is not None and stored.until == request.claim.locked_until
        try:
            job_id = self.commit(
                request.claim.settling(reserve_job, str),
                request.user,
                "interior",
                request.count,
                self.now,
            )
        except IdempotencyKeyInUse:
            assert not holds
            self.meet(Met.KEY_LOST)
        except (ItemLimit, ConcurrencyLimit, CreditsExhausted, TokenInvalid):
            self._release(request)
        else:
            assert stored is not None
            assert holds
            assert stored.result is None
            self.keys[name] = Stored(stored.fingerprint, stored.until, stored.created_at, job_id)
            self.owners[job_id] = request.user

    @rule(who=WHO, key=KEYS, slow=st.booleans())
    def ask_twice(self, who: int, key: str, slow: bool) -> None:
        """The app did not hear the answer; where the first was slow, the second overtakes it."""
        self.begin_request(who, key, 1)
        if slow:
            self.now += LOCK + 1
            self.begin_request(who, key, 1)
        while self.requests:
            self.carry_out(0)
        self.begin_request(who, key, 1)

    @precondition(lambda self: self.requests)
    @rule(pick=PICK, dies=st.booleans())
    def give_up(self, pick: int, dies: bool) -> None:
        """A request that was refused lets its key go; one whose process died does not."""
        request = take(self.requests, pick)
        if not dies:
            self._release(request)

    def _release(self, request: Request) -> None:
        self.commit(release_key, request.user, request.key, request.claim.locked_until)
        stored = self.keys.get((request.user, request.key))
        held = stored is not None and stored.until == request.claim.locked_until
        if stored is not None and held and stored.result is None:
            del self.keys[request.user, request.key]

    @rule()
    def forget_old_keys(self) -> None:
        before = self.now - LIFETIME
        self.commit(forget_keys, before)
        self.keys = {name: key for name, key in self.keys.items() if key.created_at >= before}

    def check_keys(self) -> None:
        users = set(self.users)
        self.keys = {name: key for name, key in self.keys.items() if name[0] in users}
        expected = {
            (*name, key.fingerprint, round(key.until, 3), key.result)
            for name, key in self.keys.items()
        }
        # SQLite writes fifteen digits, which is less than a float and more than milliseconds.
        kept = {
            (*row[:3], round(float(row[3] or 0), 3), row[4])
            for row in self.history.now["idempotency_keys"]
        }
        assert kept == expected
