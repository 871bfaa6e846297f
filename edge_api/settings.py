"""The service's settings: read once from the environment, refused with a line that names one."""

import ipaddress
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from edge_api.domain.addresses import Network
from edge_api.storage.addresses import parse_url
from shared.environment import Environment, Mode, SettingsError, check_origin
from shared.messages import SCHEMA_VERSION
from shared.versions import READS

FEWEST_CHARACTERS = 10
"""Different ones in a secret of production. 32 random hexadecimal digits have fewer than these
once in ten thousand times."""

GPU_RATE = 310_000
"""Nano-dollars per second: $0.00031, Runpod's flex rate of a 4090 (24 GB) in November 2026."""


class DispatchTo(StrEnum):
    """Where jobs go: DISPATCH."""

    RUNPOD = "runpod"  # a serverless endpoint, or a handler that speaks its job API
    QUEUE = "queue"  # our own queue, from which workers pull


class Secret:
    """A value that does not show in logs and tracebacks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


class Patience(Struct, frozen=True):
    """How long dispatching waits for what, in seconds.

    `submit` a dispatcher's lease of a row, `uncertain` a sign of life after a submit whose answer
    was lost, `look` a reconciler's lease of a row, `cancel` the id of a job that was canceled
    while it was submitted, `queue` a worker to begin (Runpod drops the job after that), `stuck`
    the same while workers are there, `job` and `item` the work itself at Runpod, `stall` the next
    photo once a worker has begun, `backoff` at most between two tries, `breaker` at least between
    two tries of an endpoint in trouble, `call` one answer of Runpod, `key` a
    request that holds an Idempotency-Key.
    """

    submit: float = 60.0
    uncertain: float = 120.0
    look: float = 60.0
    cancel: float = 120.0
    queue: float = 3600.0
    stuck: float = 600.0
    job: float = 300.0
    item: float = 30.0
    stall: float = 300.0
    backoff: float = 60.0
    breaker: float = 30.0
    call: float = 15.0
    key: float = 15.0

    @classmethod
    def from_env(cls, env: Environment) -> "Patience":
        names = {
            "submit": "DISPATCH_LEASE_SEC",
            "uncertain": "UNCERTAIN_GRACE_SEC",
            "look": "RECONCILE_LEASE_SEC",
            "cancel": "CANCEL_GRACE_SEC",
            "queue": "QUEUE_TIMEOUT_SEC",
            "stuck": "STUCK_TIMEOUT_SEC",
            "job": "JOB_TIMEOUT_SEC",
            "item": "ITEM_TIMEOUT_SEC",
            "stall": "STALL_TIMEOUT_SEC",
            "backoff": "DISPATCH_BACKOFF_MAX_SEC",
            "breaker": "BREAKER_PAUSE_SEC",
            "call": "RUNPOD_TIMEOUT_SEC",
            "key": "IDEMPOTENCY_LOCK_SEC",
        }
        default = cls()
        return cls(
            **{
                field: env.seconds(name, getattr(default, field), low=0.1, high=86400)
                for field, name in names.items()
            }
        )


class Settings(Struct, frozen=True):
    """`jwt_secrets` and `callback_secrets` hold the current one first, then those still accepted.

    `job_schema_version` is what the job message is written in.
    `signups_per_hour` is for one address, `free_credits_per_day` for all new accounts together,
    `calls_per_minute` for one account; 0 means that nobody counts sign-ups or calls, and that no
    credits are given away. `trusted_proxies` may say who calls, in X-Forwarded-For.
    Photos and results are deleted so many days after their job ended; 0 keeps them.
    `queue_age_limit` in seconds is how long a dispatch may wait before the service is not ready.
    `gpu_rate` is what a second of a worker costs, in nano-dollars: GPU_USD_PER_SECOND.
    With `dispatch` to the queue, workers show one of `queue_tokens`, hold a job for `queue_lease`
    seconds from one sign of life to the next, and Runpod's key is empty.
    """

    mode: Mode
    database_url: Secret
    jwt_secrets: tuple[Secret, ...]
    callback_secrets: tuple[Secret, ...]
    storage_endpoint: str
    storage_access_key: str
    storage_secret_key: Secret
    storage_bucket: str
    runpod_base_url: str
    runpod_api_key: Secret
    runpod_endpoint_id: str
    public_url: str
    cors_origins: tuple[str, ...]
    log_level: str
    batch_concurrency: int
    job_schema_version: int = SCHEMA_VERSION
    token_lifetime: int = 30 * 86400
    upload_window: int = 3600
    execute_window: int = 24 * 3600
    signups_per_hour: int = 30
    free_credits_per_day: int = 10_000
    calls_per_minute: int = 600
    trusted_proxies: tuple[Network, ...] = ()
    input_retention_days: int = 7
    result_retention_days: int = 30
    max_attempts: int = 3
    expire_interval: float = 30.0
    queue_age_limit: float = 600.0
    metrics_token: Secret | None = None
    tracing: bool = False
    gpu_rate: int = GPU_RATE
    dispatch: DispatchTo = DispatchTo.RUNPOD
    queue_tokens: tuple[Secret, ...] = ()
    queue_lease: float = 60.0
    patience: Patience = Patience()

    @property
    def jwt_secret(self) -> Secret:
        """The one that signs."""
        return self.jwt_secrets[0]

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises SettingsError for the first setting that is missing or malformed."""
        env = Environment(environ)
        dispatch = DispatchTo(env.choice("DISPATCH", DispatchTo.RUNPOD, tuple(DispatchTo)))
        queue = dispatch is DispatchTo.QUEUE
        settings = cls(
            mode=env.mode(),
            database_url=Secret(_database(env)),
            jwt_secrets=tuple(map(Secret, env.secrets("JWT_SECRET"))),
            callback_secrets=tuple(map(Secret, env.signing_secrets("GPU_CALLBACK_SECRET"))),
            storage_endpoint=storage_endpoint(env),
            storage_access_key=env.key("R2_ACCESS_KEY_ID"),
            storage_secret_key=Secret(env.key("R2_SECRET_ACCESS_KEY")),
            storage_bucket=env.name("R2_BUCKET_NAME", "s3-images"),
            runpod_base_url=env.url("RUNPOD_BASE_URL", "https://api.runpod.ai/v2"),
            runpod_api_key=Secret("" if queue else env.key("RUNPOD_API_KEY")),
            runpod_endpoint_id="queue" if queue else env.name("RUNPOD_ENDPOINT_ID"),
            public_url=env.url("PUBLIC_URL"),
            cors_origins=_origins(env),
            log_level=env.log_level(),
            batch_concurrency=env.whole("BATCH_CONCURRENCY", 4, high=32),
            job_schema_version=_job_schema_version(env),
            token_lifetime=env.whole("TOKEN_LIFETIME_SEC", 30 * 86400),
            upload_window=env.whole("UPLOAD_WINDOW_SEC", 3600),
            execute_window=env.whole("EXECUTE_WINDOW_SEC", 24 * 3600),
            signups_per_hour=env.whole("SIGNUPS_PER_HOUR", 30, low=0),
            free_credits_per_day=env.whole("FREE_CREDITS_PER_DAY", 10_000, low=0),
            calls_per_minute=env.whole("CALLS_PER_MINUTE", 600, low=0),
            trusted_proxies=_networks(env),
            input_retention_days=env.whole("INPUT_RETENTION_DAYS", 7, low=0),
            result_retention_days=env.whole("RESULT_RETENTION_DAYS", 30, low=0),
            max_attempts=env.whole("MAX_ATTEMPTS", 3, high=20),
            expire_interval=env.seconds("EXPIRE_INTERVAL_SEC", 30.0, low=0.1, high=3600),
            queue_age_limit=env.seconds("QUEUE_AGE_LIMIT_SEC", 600.0, low=1, high=86400),
            metrics_token=_metrics_token(env),
            tracing=_tracing(env),
            gpu_rate=_gpu_rate(env),
            dispatch=dispatch,
            queue_tokens=_queue_tokens(env) if queue else (),
            queue_lease=env.seconds("QUEUE_LEASE_SEC", 60.0, low=1, high=600),
            patience=Patience.from_env(env),
        )
        _refuse_shared(settings)
        if settings.mode is Mode.PRODUCTION:
            _refuse_development(settings)
        return settings


def _refuse_shared(settings: Settings) -> None:
    """Whoever holds a worker's secret must not be able to sign an account's token."""
    seen = dict[str, str]()
    for name, values in _secrets(settings).items():
        for value in values:
            other = seen.setdefault(value.reveal(), name)
            if other != name:
                raise SettingsError(name, f"must differ from {other}")


def _refuse_weak(settings: Settings) -> None:
    for name, values in _secrets(settings).items():
        if any(len(set(value.reveal())) < FEWEST_CHARACTERS for value in values):
            raise SettingsError(
                name, "must be random with ENV=production: try `openssl rand -base64 48`"
            )


def _secrets(settings: Settings) -> dict[str, tuple[Secret, ...]]:
    metrics = settings.metrics_token
    return {
        "JWT_SECRET": settings.jwt_secrets,
        "GPU_CALLBACK_SECRET": settings.callback_secrets,
        "METRICS_TOKEN": () if metrics is None else (metrics,),
        "QUEUE_TOKEN": settings.queue_tokens,
    }


def _refuse_development(settings: Settings) -> None:
    """Tokens and photos travel encrypted, and no page of a stranger may read answers."""
    urls = {
        "PUBLIC_URL": settings.public_url,
        "R2_ENDPOINT_URL": settings.storage_endpoint,
        "RUNPOD_BASE_URL": settings.runpod_base_url,
    }
    for name, url in urls.items():
        if not url.startswith("https://"):
            raise SettingsError(name, "must be https with ENV=production")
    _refuse_weak(settings)
    if "*" in settings.cors_origins:
        raise SettingsError("CORS_ORIGINS", "must name origins with ENV=production")


def _database(env: Environment) -> str:
    value = env.text("DATABASE_URL", "sqlite:///edge.db")
    try:
        url = parse_url(value)
    except ValueError as error:
        raise SettingsError("DATABASE_URL", str(error)) from None
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and not Path(url.database or "").parent.is_dir():
        raise SettingsError("DATABASE_URL", "names a folder that does not exist")
    return value


def _origins(env: Environment) -> tuple[str, ...]:
    name = "CORS_ORIGINS"
    return tuple(one if one == "*" else check_origin(name, one) for one in env.parts(name))


def _metrics_token(env: Environment) -> Secret | None:
    if not env.given("METRICS_TOKEN"):
        return None
    env.secret("METRICS_TOKEN")
    return Secret(env.key("METRICS_TOKEN"))


def _queue_tokens(env: Environment) -> tuple[Secret, ...]:
    name = "QUEUE_TOKEN"
    tokens = env.secrets(name)
    if re.fullmatch(r"[!-~]+", "".join(tokens)) is None:  # they go into a header
        raise SettingsError(name, "must be ASCII without spaces")
    return tuple(map(Secret, tokens))


def _gpu_rate(env: Environment) -> int:
    name = "GPU_USD_PER_SECOND"
    if not env.given(name):
        return GPU_RATE
    text = env.text(name)
    if re.fullmatch(r"[01](\.\d{1,9})?", text, re.ASCII) is None or Decimal(text) > 1:
        raise SettingsError(name, "must be dollars in 0..1 with at most 9 decimals, like 0.00031")
    return int(Decimal(text) * 10**9)


def _job_schema_version(env: Environment) -> int:
    written = [str(version) for version in READS]
    return int(env.choice("JOB_SCHEMA_VERSION", str(SCHEMA_VERSION), written))


def _tracing(env: Environment) -> bool:
    """Whether OpenTelemetry's own variables ask for traces; its SDK reads the others itself."""
    off = env.given("OTEL_SDK_DISABLED").lower() == "true"
    if off or env.given("OTEL_TRACES_EXPORTER").lower() == "none":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(env.given(name) for name in names)


def _networks(env: Environment) -> tuple[Network, ...]:
    name = "TRUSTED_PROXIES"
    try:
        return tuple(ipaddress.ip_network(part) for part in env.parts(name))
    except ValueError:
        raise SettingsError(name, "must be addresses or networks like 10.0.0.0/8") from None


def storage_endpoint(env: Environment) -> str:
    """R2_ENDPOINT_URL, or that of R2_ACCOUNT_ID. Raises SettingsError."""
    if env.given("R2_ENDPOINT_URL"):
        return env.origin("R2_ENDPOINT_URL")
    account = env.given("R2_ACCOUNT_ID")
    if not account:
        raise SettingsError("R2_ACCOUNT_ID (or R2_ENDPOINT_URL)", "is not set")
    if not (account.isascii() and account.isalnum()):
        raise SettingsError("R2_ACCOUNT_ID", "must be letters and digits")
    return f"https://{account}.r2.cloudflarestorage.com"
