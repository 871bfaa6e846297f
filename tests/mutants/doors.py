"""Defences at the door: who calls, how often, and whether it is the same call again."""

from tests.mutants.defence import Defence
from tests.mutants.suites import CALLBACKS, DISPATCH, IDEMPOTENCY, LIMITS, MODEL, SIGNING

DEFENCES = [
    Defence(
        name="callbacks are signed",
        why="Whoever knows a job's id could otherwise end its photos.",
        file="shared/signing.py",
        text="""    if not genuine:
        raise InvalidSignature("no signature matches")
""",
        instead="",
        noticed_by=(
            f"{SIGNING}::test_rotation_takes_any_secret_and_any_signature",
            f"{CALLBACKS}::test_another_secret",
            f"{CALLBACKS}::test_a_body_that_was_changed_after_signing",
        ),
    ),
    Defence(
        name="signatures grow old",
        why="A callback that somebody recorded must not be good for ever.",
        file="shared/signing.py",
        text="""    if abs(now - int(timestamp)) > tolerance:
        raise InvalidSignature("timestamp is outside the tolerance")
""",
        instead="",
        noticed_by=(
            f"{SIGNING}::test_outside_the_tolerance",
            f"{CALLBACKS}::test_a_signature_out_of_time",
        ),
    ),
    Defence(
        name="a foreign job is not found",
        why="Existence is not disclosed, and nobody steers another user's job.",
        file="edge_api/storage/jobs.py",
        text='True: _BY_ID.where(jobs.c.user_id == bindparam("user_id"))}',
        instead="True: _BY_ID}",
        noticed_by=(
            "tests/edge_api/controllers/test_foreign.py"
            "::test_a_foreign_job_reads_as_one_that_was_never_there",
            MODEL,
        ),
    ),
    Defence(
        name="a key settles once",
        why="A request that slept until another took its key over must have no effect.",
        file="edge_api/services/idempotency.py",
        text="self.locked_until, result(value)):\n                raise IdempotencyKeyInUse\n",
        instead="self.locked_until, result(value)):\n                pass\n",
        noticed_by=(f"{IDEMPOTENCY}::test_who_lost_its_key_has_no_effect", MODEL),
    ),
    Defence(
        name="a key under way is locked",
        why="The same request twice at once must not begin twice.",
        file="edge_api/storage/idempotency.py",
        text="""            & (idempotency_keys.c.locked_until <= now)
""",
        instead="",
        noticed_by=(f"{IDEMPOTENCY}::test_a_request_under_way_is_not_begun_again", MODEL),
    ),
    Defence(
        name="a key is for one request",
        why="Another request with a used key must not get the first one's answer.",
        file="edge_api/services/idempotency.py",
        text="""    if stored.fingerprint != fingerprint:
        raise IdempotencyKeyReused
""",
        instead="",
        noticed_by=(f"{IDEMPOTENCY}::test_another_request_with_the_key_is_refused", MODEL),
    ),
    Defence(
        name="rates are exact",
        why="One call more than the rate says is one too many, in all processes together.",
        file="edge_api/storage/rate_limits.py",
        text="where=after <= bindparam",
        instead='where=after - bindparam("cost", type_=Float) <= bindparam',
        noticed_by=(
            f"{LIMITS}::test_calls_are_counted_and_told",
            f"{LIMITS}::test_an_address_may_open_so_many_accounts_an_hour",
        ),
    ),
    Defence(
        name="an endpoint in trouble is left alone",
        why="A wrong key or a dead endpoint must not use every job's tries up.",
        file="edge_api/services/breaker.py",
        text="""    if now < breaker.open_until:
        return 0
""",
        instead="",
        noticed_by=(
            f"{DISPATCH}::test_a_wrong_key_stops_everything_and_loses_nothing",
            MODEL,
        ),
    ),
]
