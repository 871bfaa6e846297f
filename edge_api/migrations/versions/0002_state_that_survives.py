"""state that survives: leases, breakers, dead letters, idempotency keys, limits, erasure."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATES = "'new', 'submitting', 'submitted', 'canceling', 'superseded', 'ended'"
MORE = "'new', 'submitting', 'uncertain', 'submitted', 'canceling', 'superseded', 'ended'"
NEW_TABLES = (
    "erasures",
    "granted_devices",
    "credit_budgets",
    "rate_limits",
    "idempotency_keys",
    "dead_letters",
    "endpoints",
)


def upgrade() -> None:
    with op.batch_alter_table("items") as items:
        items.add_column(sa.Column("input_etag", sa.String(length=128), nullable=True))
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("inputs_purged_at", sa.Float(), nullable=True))
        jobs.add_column(sa.Column("results_purged_at", sa.Float(), nullable=True))
    with op.batch_alter_table("dispatches") as dispatches:
        dispatches.add_column(
            sa.Column("strikes", sa.Integer(), nullable=False, server_default="0")
        )
        dispatches.add_column(sa.Column("lease_until", sa.Float(), nullable=True))
        dispatches.add_column(sa.Column("begun_at", sa.Float(), nullable=True))
        dispatches.drop_constraint(op.f("ck_dispatches_state_known"), type_="check")
        dispatches.create_check_constraint(op.f("ck_dispatches_state_known"), f"state IN ({MORE})")
        dispatches.create_check_constraint(
            op.f("ck_dispatches_counts_not_negative"), "tries >= 0 AND strikes >= 0"
        )
    create_dispatching_tables()
    create_account_tables()


def create_dispatching_tables() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.Float(), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_endpoints_failures_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("dispatch_id", sa.String(length=64), nullable=False),
        sa.Column("indices", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("replayed_as", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("resolved_at", sa.Float(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'replayed', 'dropped')", name=op.f("ck_dead_letters_state_known")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_dead_letters_job_id")),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatches.id"], name=op.f("fk_dead_letters_dispatch_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index(op.f("ix_dead_letters_job_id"), "dead_letters", ["job_id"])
    op.create_index("ix_dead_letters_state_created_at", "dead_letters", ["state", "created_at"])


def create_account_tables() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("result", sa.String(length=64), nullable=True),
        sa.Column("locked_until", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id")
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("arrival", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_limits")),
    )
    op.create_index(op.f("ix_rate_limits_arrival"), "rate_limits", ["arrival"])
    op.create_table(
        "credit_budgets",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.CheckConstraint("granted >= 0", name=op.f("ck_credit_budgets_granted_not_negative")),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_credit_budgets")),
    )
    op.create_table(
        "granted_devices",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("granted_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_granted_devices")),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("runpod_jobs", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("erased", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(op.f("ix_erasures_next_at"), "erasures", ["next_at"])


def downgrade() -> None:
    for name in NEW_TABLES:
        op.drop_table(name)
    op.execute("UPDATE dispatches SET state = 'submitting' WHERE state = 'uncertain'")
    with op.batch_alter_table("dispatches") as dispatches:
        dispatches.drop_constraint(op.f("ck_dispatches_counts_not_negative"), type_="check")
        dispatches.drop_constraint(op.f("ck_dispatches_state_known"), type_="check")
        dispatches.create_check_constraint(
            op.f("ck_dispatches_state_known"), f"state IN ({STATES})"
        )
        dispatches.drop_column("begun_at")
        dispatches.drop_column("lease_until")
        dispatches.drop_column("strikes")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("results_purged_at")
        jobs.drop_column("inputs_purged_at")
    with op.batch_alter_table("items") as items:
        items.drop_column("input_etag")
