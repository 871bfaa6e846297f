"""Defences of the books: what is taken, given back and given away, and that rows explain it."""

from tests.mutants.defence import Defence
from tests.mutants.suites import (
    CALLBACKS,
    CREATION,
    DISPATCH,
    LIMITS,
    MODEL,
    RECONCILE,
    TRANSITIONS,
)

DEFENCES = [
    Defence(
        name="credits are there",
        why="Two jobs created at once must not spend the same credits.",
        file="edge_api/storage/ledger.py",
        text='.where(users.c.id == bindparam("of"), _AFTER >= 0)',
        instead='.where(users.c.id == bindparam("of"))',
        noticed_by=(
            f"{CREATION}::test_without_enough_credits_nothing_happens",
            "tests/edge_api/storage/test_database.py::test_credits_never_fall_below_zero",
        ),
    ),
    Defence(
        name="credits have a row",
        why="The sum of a user's rows is the balance; a movement without a row breaks it.",
        file="edge_api/storage/ledger.py",
        text="""    connection.execute(_EXPLAIN, event)
    return True
""",
        instead="""    if kind is not Kind.REFUND:
        connection.execute(_EXPLAIN, event)
    return True
""",
        noticed_by=(
            f"{CALLBACKS}::test_failed_items_are_refunded_when_the_job_ends_and_once",
            MODEL,
        ),
    ),
    Defence(
        name="one refund a job",
        why="The last line: the database itself refuses a second refund or reservation of a job.",
        file="edge_api/migrations/versions/0001_the_first_schema.py",
        text='sa.UniqueConstraint("job_id", "kind", name=op.f("uq_billing_events_job_id")),',
        instead="",
        noticed_by=(
            "tests/edge_api/storage/test_tables.py::test_what_there_is_once_is_not_there_twice",
            "tests/edge_api/storage/test_migrations.py"
            "::test_the_migrated_schema_is_the_one_of_the_code",
        ),
    ),
    Defence(
        name="a job ends once",
        why="Cancel against the last callback: whoever comes second finds the job ended.",
        file="edge_api/storage/jobs.py",
        text=".where(jobs.c.id == job_id, jobs.c.status.in_(sources(target)))",
        instead=".where(jobs.c.id == job_id)",
        noticed_by=(
            f"{TRANSITIONS}::test_a_call_in_a_state",
            f"{TRANSITIONS}::test_canceling_again_answers_as_the_first_did",
        ),
    ),
    Defence(
        name="what failed is refunded",
        why="A job that ends gives back its failed items, and no others.",
        file="edge_api/services/settlement.py",
        text="_release(connection, ended, ended.failed_items, now)",
        instead="_release(connection, ended, 0, now)",
        noticed_by=(f"{CALLBACKS}::test_a_job_of_which_nothing_succeeded_has_failed", MODEL),
    ),
    Defence(
        name="what was done stays paid",
        why="Cancelling gives back only what is not done.",
        file="edge_api/services/settlement.py",
        text="refund = job.total_items - job.done_items",
        instead="refund = job.total_items",
        noticed_by=(
            f"{TRANSITIONS}::test_canceling_refunds_failed_and_pending_items_alike",
            MODEL,
        ),
    ),
    Defence(
        name="a dead letter is refunded",
        why="What no attempt could finish must not stay paid, nor its job hang for ever.",
        file="edge_api/services/attempts.py",
        text="        abandon_items(connection, dispatch.job_id, error, now)\n",
        instead="",
        noticed_by=(
            f"{RECONCILE}::test_a_lost_attempt_is_replaced_and_the_third_refunds",
            f"{DISPATCH}::test_a_refusal_refunds_only_what_is_not_done",
            MODEL,
        ),
    ),
    Defence(
        name="free credits once a device",
        why="Leaving and signing up again must not be a source of credits.",
        file="edge_api/services/accounts.py",
        text="first = device_hash is None or note_device(",
        instead="first = True or note_device(",
        noticed_by=(f"{LIMITS}::test_a_device_has_its_free_credits_once", MODEL),
    ),
    Defence(
        name="a day's budget",
        why="However many addresses sign up, a day gives away so much and no more.",
        file="edge_api/storage/grants.py",
        text=', set_={"granted": total}, where=total <= most)',
        instead=', set_={"granted": total})',
        noticed_by=(f"{LIMITS}::test_the_day_s_credits_come_to_an_end", MODEL),
    ),
    Defence(
        name="one job slot each",
        why="A free account has one open job, whatever it sends at once.",
        file="edge_api/storage/users.py",
        text=', users.c.open_jobs < bindparam("limit", type_=Integer))',
        instead=")",
        noticed_by=(
            f"{CREATION}::test_at_the_limit_the_open_jobs_are_named",
            MODEL,
        ),
    ),
]
