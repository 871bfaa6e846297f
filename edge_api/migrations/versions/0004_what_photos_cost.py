"""GPU time of items and attempts, each with the rate at which it is paid."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ENDED = sa.text("ended_at IS NOT NULL")


def upgrade() -> None:
    # SQLite adds a column that may be null without copying the table.
    op.add_column("items", sa.Column("gpu_ms", sa.Integer(), nullable=True))
    op.add_column("items", sa.Column("gpu_rate", sa.Integer(), nullable=True))
    op.add_column("dispatches", sa.Column("execution_ms", sa.Integer(), nullable=True))
    op.add_column("dispatches", sa.Column("gpu_rate", sa.Integer(), nullable=True))
    op.create_index(
        "ix_jobs_preset_ended_at",
        "jobs",
        ["preset", "ended_at"],
        sqlite_where=ENDED,
        postgresql_where=ENDED,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_preset_ended_at", "jobs")
    op.drop_column("dispatches", "gpu_rate")
    op.drop_column("dispatches", "execution_ms")
    op.drop_column("items", "gpu_rate")
    op.drop_column("items", "gpu_ms")
