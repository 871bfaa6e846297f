"""The service's settings: read once from the environment, refused with a line that names one."""

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit

from msgspec import Struct

from shared.signing import signing_key

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as its hash."""


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Secret:
    """A value that does not show in logs and tracebacks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


class Settings(Struct, frozen=True):
    """`callback_secrets` holds the current secret first, then those still accepted."""

    environment: Environment
    database_url: str
    jwt_secret: Secret
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
    token_lifetime: int = 30 * 86400
    upload_window: int = 3600
    execute_window: int = 24 * 3600
    max_attempts: int = 3

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises SettingsError for the first setting that is missing or malformed."""
        read = _Reader(environ)
        return cls(
            environment=read.environment("ENV"),
            database_url=read.text("DATABASE_URL", "sqlite:///edge.db"),
            jwt_secret=read.secret("JWT_SECRET"),
            callback_secrets=read.secrets("GPU_CALLBACK_SECRET"),
            storage_endpoint=read.storage_endpoint(),
            storage_access_key=read.text("R2_ACCESS_KEY_ID"),
            storage_secret_key=Secret(read.text("R2_SECRET_ACCESS_KEY")),
            storage_bucket=read.text("R2_BUCKET_NAME", "s3-images"),
            runpod_base_url=read.url("RUNPOD_BASE_URL", "https://api.runpod.ai/v2"),
            runpod_api_key=Secret(read.text("RUNPOD_API_KEY")),
            runpod_endpoint_id=read.text("RUNPOD_ENDPOINT_ID"),
            public_url=read.url("PUBLIC_URL"),
            cors_origins=read.list("CORS_ORIGINS"),
            log_level=read.text("LOG_LEVEL", "INFO").upper(),
            batch_concurrency=read.positive("BATCH_CONCURRENCY", 4),
            token_lifetime=read.positive("TOKEN_LIFETIME_SEC", 30 * 86400),
            upload_window=read.positive("UPLOAD_WINDOW_SEC", 3600),
            execute_window=read.positive("EXECUTE_WINDOW_SEC", 24 * 3600),
        )


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, "").strip() or default
        if value is None:
            raise SettingsError(f"{name} is not set")
        return value

    def list(self, name: str) -> tuple[str, ...]:
        parts = (part.strip() for part in self._environ.get(name, "").split(","))
        return tuple(part for part in parts if part)

    def positive(self, name: str, default: int) -> int:
        text = self.text(name, str(default))
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**9):
            raise SettingsError(f"{name} must be a positive whole number")
        return int(text)

    def environment(self, name: str) -> Environment:
        try:
            return Environment(self.text(name, "development"))
        except ValueError:
            raise SettingsError(f"{name} must be 'development' or 'production'") from None

    def secret(self, name: str) -> Secret:
        return self._long_enough(name, self.text(name))

    def secrets(self, name: str) -> tuple[Secret, ...]:
        values = self.list(name)
        if not values:
            raise SettingsError(f"{name} is not set")
        for value in values:
            try:
                signing_key(value)
            except ValueError as error:
                raise SettingsError(f"{name}: {error}") from error
        return tuple(self._long_enough(name, value) for value in values)

    def _long_enough(self, name: str, value: str) -> Secret:
        if len(value.encode()) < MIN_SECRET_BYTES:
            raise SettingsError(f"{name} must be at least {MIN_SECRET_BYTES} bytes long")
        return Secret(value)

    def url(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise SettingsError(f"{name} must be an http(s) URL")
        return value

    def storage_endpoint(self) -> str:
        if self._environ.get("R2_ENDPOINT_URL", "").strip():
            return self.url("R2_ENDPOINT_URL")
        account = self._environ.get("R2_ACCOUNT_ID", "").strip()
        if not account:
            raise SettingsError("R2_ACCOUNT_ID (or R2_ENDPOINT_URL) is not set")
        if not account.isalnum():
            raise SettingsError("R2_ACCOUNT_ID must be letters and digits")
        return f"https://{account}.r2.cloudflarestorage.com"
