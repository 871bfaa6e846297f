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
    text,
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
    Column("inputs_purged_at", Float, nullable=True),
    Column("results_purged_at", Float, nullable=True),
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
    Index(
        "ix_jobs_preset_ended_at",
        "preset",
        "ended_at",
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
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
    # The photo as it was when its upload was confirmed: one swapped afterwards is refused.
    Column("input_etag", String(128), nullable=True),
    # Its share of its worker's time, and nano-dollars per second as they were then.
    Column("gpu_ms", Integer, nullable=True),
    Column("gpu_rate", Integer, nullable=True),
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
    Column("strikes", Integer, nullable=False, server_default="0"),
    Column("lease_until", Float, nullable=True),
    Column("begun_at", Float, nullable=True),
    # Of the call that executed the job: it joins log lines of every attempt.
    Column("request_id", String(128), nullable=True),
    # How long it ran as Runpod says, and nano-dollars per second as they were then.
    Column("execution_ms", Integer, nullable=True),
    Column("gpu_rate", Integer, nullable=True),
    UniqueConstraint("job_id", "attempt"),
    CheckConstraint(
        "state IN ('new', 'submitting', 'uncertain', 'submitted', 'canceling', 'superseded',"
        " 'ended')",
        name="state_known",
    ),
    CheckConstraint("attempt >= 1", name="attempt_positive"),
    CheckConstraint("tries >= 0 AND strikes >= 0", name="counts_not_negative"),
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

# One row for each Runpod endpoint that is in trouble: its circuit breaker.
endpoints = Table(
    "endpoints",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", Float, nullable=False),
    Column("last_error", String(500), nullable=True),
    CheckConstraint("failures >= 0", name="failures_not_negative"),
)

# Items that no attempt could finish, for an operator to look at.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("job_id", String(64), ForeignKey("jobs.id"), nullable=False, index=True),
    Column("dispatch_id", String(64), ForeignKey("dispatches.id"), nullable=False),
    Column("indices", JSON(none_as_null=True), nullable=False),
    Column("code", String(64), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("state", String(16), nullable=False),
    Column("replayed_as", String(64), nullable=True),
    Column("created_at", Float, nullable=False),
    Column("resolved_at", Float, nullable=True),
    CheckConstraint("state IN ('open', 'replayed', 'dropped')", name="state_known"),
    Index("ix_dead_letters_state_created_at", "state", "created_at"),
)

# What a request with an Idempotency-Key led to; `result` is null while it is being carried out.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", String(64), ForeignKey("users.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("result", String(64), nullable=True),
    Column("locked_until", Float, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
)

# Generic cell rate algorithm: the theoretical arrival time of the next call of a key.
rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("arrival", Float, nullable=False, index=True),
)

# Credits given away on one day (UTC, YYYY-MM-DD).
credit_budgets = Table(
    "credit_budgets",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("granted", Integer, nullable=False),
    CheckConstraint("granted >= 0", name="granted_not_negative"),
)

# Devices that had their free credits, told by a keyed digest that leads back to nobody.
granted_devices = Table(
    "granted_devices",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("granted_at", Float, nullable=False),
)

# Accounts whose rows are gone and whose objects and running work still have to go.
erasures = Table(
    "erasures",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("runpod_jobs", JSON(none_as_null=True), nullable=False),
    Column("erased", JSON(none_as_null=True), nullable=False),
    Column("objects", Integer, nullable=False),
    Column("next_at", Float, nullable=False, index=True),
    Column("until", Float, nullable=False),
    Column("created_at", Float, nullable=False),
)

# The API's own job queue, for workers that pull (DISPATCH=queue). A row is dropped half an hour
# after its end, as Runpod does, or with its user.
queued_jobs = Table(
    "queued_jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    # Handing over the same attempt again leads to the same row.
    Column("dispatch_id", String(64), nullable=False, unique=True),
    Column(
        "user_id",
        String(64),
        ForeignKey("users.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("state", String(16), nullable=False),
    Column("payload", JSON(none_as_null=True), nullable=False),
    Column("execution_seconds", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("worker", String(128), nullable=True),
    Column("lease", String(64), nullable=True),
    Column("lease_until", Float, nullable=True),
    # When the work must be over, however often the lease is renewed.
    Column("deadline", Float, nullable=True),
    Column("created_at", Float, nullable=False),
    Column("began_at", Float, nullable=True),
    Column("ended_at", Float, nullable=True),
    Column("output", JSON(none_as_null=True), nullable=True),
    Column("error", String(2000), nullable=True),
    CheckConstraint(
        "state IN ('IN_QUEUE', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')",
        name="state_known",
    ),
    CheckConstraint("execution_seconds > 0", name="execution_positive"),
    CheckConstraint(
        "state <> 'IN_PROGRESS' OR (worker IS NOT NULL AND lease IS NOT NULL"
        " AND lease_until IS NOT NULL AND deadline IS NOT NULL AND began_at IS NOT NULL)",
        name="progress_is_leased",
    ),
    CheckConstraint(
        "(ended_at IS NULL) = (state IN ('IN_QUEUE', 'IN_PROGRESS'))", name="ends_once"
    ),
    Index("ix_queued_jobs_state_created_at", "state", "created_at"),
)

# Workers that pull, and when each was heard of last.
queue_workers = Table(
    "queue_workers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("seen_at", Float, nullable=False),
)
