"""The service's settings: read once from the environment, refused with a line that names one."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from shared.signing import signing_key

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

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
            database_url=read.database("DATABASE_URL", "sqlite:///edge.db"),
            jwt_secret=read.secret("JWT_SECRET"),
            callback_secrets=read.secrets("GPU_CALLBACK_SECRET"),
            storage_endpoint=read.storage_endpoint(),
            storage_access_key=read.key("R2_ACCESS_KEY_ID"),
            storage_secret_key=Secret(read.key("R2_SECRET_ACCESS_KEY")),
            storage_bucket=read.name("R2_BUCKET_NAME", "s3-images"),
            runpod_base_url=read.url("RUNPOD_BASE_URL", "https://api.runpod.ai/v2"),
            runpod_api_key=Secret(read.key("RUNPOD_API_KEY")),
            runpod_endpoint_id=read.name("RUNPOD_ENDPOINT_ID"),
            public_url=read.url("PUBLIC_URL"),
            cors_origins=read.origins("CORS_ORIGINS"),
            log_level=read.log_level("LOG_LEVEL", "INFO"),
            batch_concurrency=read.positive("BATCH_CONCURRENCY", 4),
            token_lifetime=read.positive("TOKEN_LIFETIME_SEC", 30 * 86400),
            upload_window=read.positive("UPLOAD_WINDOW_SEC", 3600),
            execute_window=read.positive("EXECUTE_WINDOW_SEC", 24 * 3600),
        )


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def _given(self, name: str) -> str:
        value = self._environ.get(name, "").strip()
        if not value.isprintable():  # a line break, or bytes that are not UTF-8
            raise SettingsError(f"{name} must be printable text")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self._given(name) or default
        if value is None:
            raise SettingsError(f"{name} is not set")
        return value

    def list(self, name: str) -> tuple[str, ...]:
        parts = (part.strip() for part in self._given(name).split(","))
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

    def key(self, name: str) -> str:
        """What goes into a header or a signature: visible ASCII."""
        value = self.text(name)
        if re.fullmatch(r"[!-~]+", value) is None:
            raise SettingsError(f"{name} must be ASCII without spaces")
        return value

    def name(self, name: str, default: str | None = None) -> str:
        """One segment of a path."""
        value = self.text(name, default)
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value) is None:
            raise SettingsError(f"{name} must be letters, digits, '.', '_' and '-'")
        return value

    def database(self, name: str, default: str) -> str:
        value = self.text(name, default)
        scheme, _, path = value.partition(":///")
        if scheme != "sqlite" or not path or path.startswith(":memory:"):
            raise SettingsError(f"{name} must be sqlite:///<path>")
        if not Path(path.partition("?")[0]).parent.is_dir():
            raise SettingsError(f"{name} names a folder that does not exist")
        return value

    def log_level(self, name: str, default: str) -> str:
        level = self.text(name, default).upper()
        if level not in LOG_LEVELS:
            raise SettingsError(f"{name} must be one of {', '.join(LOG_LEVELS)}")
        return level

    def secret(self, name: str) -> Secret:
        return self._long_enough(name, self.text(name))

    def secrets(self, name: str) -> tuple[Secret, ...]:
        """Several, parted by commas, of which each can sign."""
        values = self.list(name)
        if not values:
            raise SettingsError(f"{name} is not set")
        for value in values:
            try:
                signing_key(value)
            except ValueError as error:
                raise SettingsError(f"{name}: {error}") from None
        return tuple(self._long_enough(name, value) for value in values)

    def _long_enough(self, name: str, value: str) -> Secret:
        if len(value.encode()) < MIN_SECRET_BYTES:
            raise SettingsError(f"{name} must be at least {MIN_SECRET_BYTES} bytes long")
        return Secret(value)

    def url(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default).rstrip("/")
        if not _is_url(value):
            raise SettingsError(f"{name} must be an http(s) URL")
        return value

    def origin(self, name: str, value: str) -> str:
        """Scheme, host and port: what a browser sends, and what object URLs begin with."""
        if not _is_url(value) or urlsplit(value).path:
            raise SettingsError(f"{name} must be like https://host or http://host:port")
        return value

    def origins(self, name: str) -> tuple[str, ...]:
        return tuple(
            value if value == "*" else self.origin(name, value) for value in self.list(name)
        )

    def storage_endpoint(self) -> str:
        if endpoint := self._given("R2_ENDPOINT_URL"):
            return self.origin("R2_ENDPOINT_URL", endpoint.rstrip("/"))
        account = self._given("R2_ACCOUNT_ID")
        if not account:
            raise SettingsError("R2_ACCOUNT_ID (or R2_ENDPOINT_URL) is not set")
        if not (account.isascii() and account.isalnum()):
            raise SettingsError("R2_ACCOUNT_ID must be letters and digits")
        return f"https://{account}.r2.cloudflarestorage.com"


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        named = parts.hostname is not None and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return False
    plain = value.isascii() and not set("?#@ ") & set(value)
    return named and plain and parts.scheme in {"http", "https"}
