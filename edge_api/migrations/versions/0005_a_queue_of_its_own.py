"""The API's own job queue, and the workers that pull from it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queued_jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("dispatch_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("execution_seconds", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=True),
        sa.Column("lease", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("deadline", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("began_at", sa.Float(), nullable=True),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("output", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("error", sa.String(length=2000), nullable=True),
        sa.CheckConstraint(
            "state IN ('IN_QUEUE', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')",
            name=op.f("ck_queued_jobs_state_known"),
        ),
        sa.CheckConstraint("execution_seconds > 0", name=op.f("ck_queued_jobs_execution_positive")),
        sa.CheckConstraint(
            "state <> 'IN_PROGRESS' OR (worker IS NOT NULL AND lease IS NOT NULL"
            " AND lease_until IS NOT NULL AND deadline IS NOT NULL AND began_at IS NOT NULL)",
            name=op.f("ck_queued_jobs_progress_is_leased"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (state IN ('IN_QUEUE', 'IN_PROGRESS'))",
            name=op.f("ck_queued_jobs_ends_once"),
        ),
        # An older version, which does not know this table, can still erase an account.
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_queued_jobs_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queued_jobs")),
        sa.UniqueConstraint("dispatch_id", name=op.f("uq_queued_jobs_dispatch_id")),
    )
    op.create_index(op.f("ix_queued_jobs_user_id"), "queued_jobs", ["user_id"])
    op.create_index("ix_queued_jobs_state_created_at", "queued_jobs", ["state", "created_at"])
    op.create_table(
        "queue_workers",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_queue_workers")),
    )


def downgrade() -> None:
    op.drop_table("queue_workers")
    op.drop_index("ix_queued_jobs_state_created_at", "queued_jobs")
    op.drop_index(op.f("ix_queued_jobs_user_id"), "queued_jobs")
    op.drop_table("queued_jobs")
