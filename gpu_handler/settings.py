"""The handler's settings, read once from the environment and refused with one line each."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, structs

from shared.signing import signing_key

MIN_SECRET_BYTES = 32
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SECRETS = frozenset({"storage_access_key", "storage_secret_key", "callback_secret", "hf_token"})


class SettingsError(Exception):
    """A setting is missing or malformed; the message is one line that names the variable."""


class SegmenterChoice(StrEnum):
    """Which engine finds the concepts. `auto` may choose; the other two are meant literally."""

    CLASSICAL = "classical"
    AUTO = "auto"
    SAM3 = "sam3"


class Settings(Struct, frozen=True, kw_only=True):
    """What the worker needs to know. `callback_timeout_sec` bounds one try, in seconds.

    `callback_allowed_hosts` is empty where any host may be called back.
    """

    storage_s3_endpoint: str
    storage_access_key: str
    storage_secret_key: str
    storage_bucket: str
    callback_secret: str
    batch_concurrency: int = 4
    model_cache_dir: Path = Path("/models")
    callback_timeout_sec: float = 10.0
    callback_allowed_hosts: frozenset[str] = frozenset()
    hf_token: str | None = None
    adapter: str = "runpod"
    log_level: str = "INFO"
    segmenter: SegmenterChoice = SegmenterChoice.AUTO
    allow_private_image_urls: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read every setting. Raises SettingsError for the first that does not fit."""
        env = _Environment(environ)
        return cls(
            storage_s3_endpoint=env.url("STORAGE_S3_ENDPOINT"),
            storage_access_key=env.text("STORAGE_ACCESS_KEY"),
            storage_secret_key=env.text("STORAGE_SECRET_KEY"),
            storage_bucket=env.text("STORAGE_BUCKET"),
            callback_secret=env.secret("GPU_CALLBACK_SECRET"),
            batch_concurrency=env.whole("BATCH_CONCURRENCY", 4, low=1, high=32),
            model_cache_dir=Path(env.text("MODEL_CACHE_DIR", "/models")),
            callback_timeout_sec=env.seconds("CALLBACK_TIMEOUT_SEC", 10.0, low=0.1, high=60.0),
            callback_allowed_hosts=env.hosts("CALLBACK_ALLOWED_HOSTS"),
            hf_token=env.text("HF_TOKEN", "") or None,
            adapter=env.choice("ADAPTER", "runpod", ("runpod",)),
            log_level=env.choice("LOG_LEVEL", "INFO", LOG_LEVELS, fold=str.upper),
            segmenter=env.segmenter("SEGMENTER"),
            allow_private_image_urls=env.flag("ALLOW_PRIVATE_IMAGE_URLS"),
        )

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in SECRETS and value else repr(value)}"
            for name, value in structs.asdict(self).items()
        )
        return f"Settings({', '.join(shown)})"


class _Environment:
    """Typed reads of one mapping. A variable set to nothing but blanks counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, "").strip() or default
        if value is None:
            raise SettingsError(f"{name}: is not set")
        return value

    def secret(self, name: str) -> str:
        value = self.text(name)
        try:
            key = signing_key(value)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
        if len(key) < MIN_SECRET_BYTES:
            raise SettingsError(f"{name}: must hold at least {MIN_SECRET_BYTES} bytes")
        return value

    def url(self, name: str) -> str:
        value = self.text(name)
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise SettingsError(f"{name}: must be an http or https URL")
        return value.rstrip("/")

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        raw = self.text(name, str(default))
        try:
            value = int(raw)
        except ValueError:
            raise SettingsError(f"{name}: must be a whole number, not {raw!r}") from None
        if not low <= value <= high:
            raise SettingsError(f"{name}: must lie in {low}..{high}, not {value}")
        return value

    def seconds(self, name: str, default: float, *, low: float, high: float) -> float:
        raw = self.text(name, str(default))
        try:
            value = float(raw)
        except ValueError:
            raise SettingsError(f"{name}: must be a number of seconds, not {raw!r}") from None
        if not low <= value <= high:  # also refuses NaN
            raise SettingsError(f"{name}: must lie in {low:g}..{high:g} seconds, not {raw}")
        return value

    def flag(self, name: str) -> bool:
        raw = self.text(name, "false").lower()
        if raw not in ("true", "false", "1", "0"):
            raise SettingsError(f"{name}: must be true or false, not {raw!r}")
        return raw in ("true", "1")

    def hosts(self, name: str) -> frozenset[str]:
        names = [part.strip().lower() for part in self.text(name, "").split(",") if part.strip()]
        for host in names:
            if not set(host).isdisjoint("/:@ "):
                raise SettingsError(f"{name}: must list bare host names, not {host!r}")
        return frozenset(names)

    def segmenter(self, name: str) -> SegmenterChoice:
        choice = SegmenterChoice(self.choice(name, "auto", tuple(SegmenterChoice), fold=str.lower))
        if choice is SegmenterChoice.SAM3:
            raise SettingsError(f"{name}: sam3 is not part of this version; use classical or auto")
        return choice

    def choice(
        self,
        name: str,
        default: str,
        allowed: tuple[str, ...],
        fold: Callable[[str], str] = str,
    ) -> str:
        value = fold(self.text(name, default))
        if value not in allowed:
            raise SettingsError(f"{name}: must be one of {', '.join(allowed)}, not {value!r}")
        return value
