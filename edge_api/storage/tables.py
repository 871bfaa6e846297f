"""The tables. CHECK constraints stand at table level, where Alembic keeps them."""

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Times are Unix seconds: one type on every database, and comparable in SQL.

users = Table(
    "users",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("device_hash", String(128), nullable=True, unique=True),
    Column("plan", String(16), nullable=False),
    Column("credits", Integer, nullable=False),
    Column("open_jobs", Integer, nullable=False),
    Column("rules", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    CheckConstraint("credits >= 0", name="credits_not_negative"),
    CheckConstraint("open_jobs >= 0", name="open_jobs_not_negative"),
    CheckConstraint("rules >= 0", name="rules_not_negative"),
    CheckConstraint("plan IN ('free', 'pro')", name="plan_known"),
)

rules = Table(
    "rules",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", String(64), ForeignKey("users.id"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("preset_id", String(64), nullable=False),
    Column("concepts", JSON(none_as_null=True), nullable=False),
    Column("protect", JSON(none_as_null=True), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", String(64), ForeignKey("users.id"), nullable=False),
    Column("preset", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("total_items", Integer, nullable=False),
    Column("done_items", Integer, nullable=False),
    Column("failed_items", Integer, nullable=False),
    Column("refunded", Integer, nullable=False),
    Column("concepts", JSON(none_as_null=True), nullable=True),
    Column("protect", JSON(none_as_null=True), nullable=True),
    Column("warnings", JSON(none_as_null=True), nullable=True),
    Column("output_template", String(64), nullable=True),
    Column("execute_hash", String(64), nullable=True),
    Column("created_at", Float, nullable=False),
    Column("confirmed_at", Float, nullable=True),
    Column("queued_at", Float, nullable=True),
    Column("started_at", Float, nullable=True),
    Column("ended_at", Float, nullable=True),
    CheckConstraint(
        "status IN ('created', 'uploaded', 'queued', 'running', 'done', 'failed', 'canceled')",
        name="status_known",
    ),
    CheckConstraint("total_items > 0", name="total_positive"),
    CheckConstraint(
        "done_items >= 0 AND failed_items >= 0 AND done_items + failed_items <= total_items",
        name="items_add_up",
    ),
    CheckConstraint("refunded >= 0 AND refunded <= total_items", name="refund_bounded"),
    Index("ix_jobs_user_id_id", "user_id", "id"),
    Index("ix_jobs_status_created_at", "status", "created_at"),
)

items = Table(
    "items",
    metadata,
    Column("job_id", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("error", JSON(none_as_null=True), nullable=True),
    Column("timings", JSON(none_as_null=True), nullable=True),
    Column("warnings", JSON(none_as_null=True), nullable=True),
    Column("report", JSON(none_as_null=True), nullable=True),
    Column("attempt", Integer, nullable=True),
    Column("ended_at", Float, nullable=True),
    CheckConstraint("status IN ('pending', 'done', 'failed')", name="status_known"),
)

# The outbox: one row for each attempt to have a job worked on.
dispatches = Table(
    "dispatches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("job_id", String(64), ForeignKey("jobs.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("endpoint_id", String(64), nullable=True),
    Column("runpod_job_id", String(128), nullable=True),
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("last_error", String(500), nullable=True),
    Column("created_at", Float, nullable=False),
    Column("submitted_at", Float, nullable=True),
    UniqueConstraint("job_id", "attempt"),
    CheckConstraint(
        "state IN ('new', 'submitting', 'submitted', 'canceling', 'superseded', 'ended')",
        name="state_known",
    ),
    CheckConstraint("attempt >= 1", name="attempt_positive"),
    Index("ix_dispatches_state_next_at", "state", "next_at"),
)

# The ledger: the sum of a user's rows is the balance, always.
billing_events = Table(
    "billing_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String(64), ForeignKey("users.id"), nullable=False, index=True),
    Column("job_id", String(64), ForeignKey("jobs.id"), nullable=True),
    Column("kind", String(16), nullable=False),
    Column("amount", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    # A job is reserved once and refunded once, whatever is repeated.
    UniqueConstraint("job_id", "kind"),
    CheckConstraint("kind IN ('grant', 'reserve', 'refund', 'adjust')", name="kind_known"),
    CheckConstraint("amount <> 0", name="amount_moves_something"),
)
