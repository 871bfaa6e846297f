"""The handler's settings, read once from the environment and refused with one line each."""

import re
import socket
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, structs

from gpu_handler.backends.base import Edges
from gpu_handler.backends.choice import BackendChoice
from shared.environment import Environment, Mode, SettingsError

SECRETS = frozenset(
    {
        "storage_access_key",
        "storage_secret_key",
        "callback_secret",
        "hf_token",
        "handler_api_key",
        "queue_token",
    }
)

Choice = TypeVar("Choice", bound=StrEnum)


class AdapterChoice(StrEnum):
    """Where jobs come from: a module of `gpu_handler.adapters` each."""

    RUNPOD = "runpod"
    HTTP = "http"
    QUEUE = "queue"


class SegmenterChoice(StrEnum):
    """Which engine finds the concepts. `auto` may choose; the other two are meant literally."""

    CLASSICAL = "classical"
    AUTO = "auto"
    SAM3 = "sam3"


class DeviceChoice(StrEnum):
    """Where the learned engine computes; `auto` is CUDA where there is any."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class DtypeChoice(StrEnum):
    """What the learned engine's parameters are held in; `auto` is bfloat16 with CUDA."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class CompileChoice(StrEnum):
    """Whether the learned engine compiles its layers; `auto` does so with CUDA."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Settings(Struct, frozen=True, kw_only=True):
    """What the worker needs to know. `callback_timeout_sec` bounds one try, in seconds.

    `callback_allowed_hosts` is empty where any host may be called back. `sam3_model` is a hub id
    or a folder, `inpaint_model` a file, both None where none was given.
    """

    mode: Mode = Mode.DEVELOPMENT
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
    adapter: AdapterChoice = AdapterChoice.RUNPOD
    log_level: str = "INFO"
    segmenter: SegmenterChoice = SegmenterChoice.AUTO
    sam3_model: str | None = None
    sam3_device: DeviceChoice = DeviceChoice.AUTO
    sam3_dtype: DtypeChoice = DtypeChoice.AUTO
    sam3_compile: CompileChoice = CompileChoice.AUTO
    pixel_backend: BackendChoice = BackendChoice.AUTO
    mask_edges: Edges = Edges.FINE
    inpaint_model: Path | None = None
    allow_private_image_urls: bool = False
    http_host: str = "0.0.0.0"  # noqa: S104 - a container's own network
    http_port: int = 8000
    http_queue_size: int = 16
    handler_api_key: str | None = None
    queue_url: str | None = None
    queue_token: str | None = None
    worker_name: str = "worker"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read every setting. Raises SettingsError for the first that does not fit."""
        env = Environment(environ)
        adapter = _choice(env, "ADAPTER", AdapterChoice, "runpod")
        settings = cls(
            mode=env.mode(),
            storage_s3_endpoint=env.origin("STORAGE_S3_ENDPOINT"),
            storage_access_key=env.key("STORAGE_ACCESS_KEY"),
            storage_secret_key=env.key("STORAGE_SECRET_KEY"),
            storage_bucket=env.name("STORAGE_BUCKET"),
            callback_secret=_callback_secret(env),
            batch_concurrency=env.whole("BATCH_CONCURRENCY", 4, low=1, high=32),
            model_cache_dir=Path(env.text("MODEL_CACHE_DIR", "/models")),
            callback_timeout_sec=env.seconds("CALLBACK_TIMEOUT_SEC", 10.0, low=0.1, high=60.0),
            callback_allowed_hosts=_hosts(env),
            hf_token=env.text("HF_TOKEN", "") or None,
            adapter=adapter,
            log_level=env.log_level(),
            segmenter=_choice(env, "SEGMENTER", SegmenterChoice),
            sam3_model=env.text("SAM3_MODEL", "") or None,
            sam3_device=_choice(env, "SAM3_DEVICE", DeviceChoice),
            sam3_dtype=_choice(env, "SAM3_DTYPE", DtypeChoice),
            sam3_compile=_choice(env, "SAM3_COMPILE", CompileChoice),
            pixel_backend=_choice(env, "PIXEL_BACKEND", BackendChoice),
            mask_edges=_choice(env, "MASK_EDGES", Edges, Edges.FINE),
            inpaint_model=_path(env, "INPAINT_MODEL"),
            allow_private_image_urls=env.flag("ALLOW_PRIVATE_IMAGE_URLS"),
            http_host=env.text("HTTP_HOST", "0.0.0.0"),  # noqa: S104
            http_port=env.whole("HTTP_PORT", 8000, high=65_535),
            http_queue_size=env.whole("HTTP_QUEUE_SIZE", 16, high=1_000),
            handler_api_key=_handler_api_key(env, adapter),
            queue_url=env.url("QUEUE_URL") if adapter is AdapterChoice.QUEUE else None,
            queue_token=_queue_token(env) if adapter is AdapterChoice.QUEUE else None,
            worker_name=_worker_name(env),
        )
        if settings.mode is Mode.PRODUCTION:
            _refuse_development(settings)
        return settings

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in SECRETS and value else repr(value)}"
            for name, value in structs.asdict(self).items()
        )
        return f"Settings({', '.join(shown)})"


def _refuse_development(settings: Settings) -> None:
    """Photos travel encrypted, and nothing that is signed goes to whom a message names."""
    if not settings.storage_s3_endpoint.startswith("https://"):
        raise SettingsError("STORAGE_S3_ENDPOINT", "must be https with ENV=production")
    if not settings.callback_allowed_hosts:
        raise SettingsError("CALLBACK_ALLOWED_HOSTS", "must be set with ENV=production")
    if settings.queue_url is not None and not settings.queue_url.startswith("https://"):
        raise SettingsError("QUEUE_URL", "must be https with ENV=production")
    if settings.allow_private_image_urls:
        raise SettingsError("ALLOW_PRIVATE_IMAGE_URLS", "must be false with ENV=production")


def _hosts(env: Environment) -> frozenset[str]:
    name = "CALLBACK_ALLOWED_HOSTS"
    hosts = [part.lower() for part in env.parts(name)]
    for host in hosts:
        if not set(host).isdisjoint("/:@ "):
            raise SettingsError(name, f"must list bare host names, not {host!r}")
    return frozenset(hosts)


def _choice(env: Environment, name: str, choices: type[Choice], default: str = "auto") -> Choice:
    return choices(env.choice(name, default, tuple(choices), fold=str.lower))


def _path(env: Environment, name: str) -> Path | None:
    text = env.text(name, "")
    return Path(text) if text else None


def _handler_api_key(env: Environment, adapter: AdapterChoice) -> str | None:
    """What callers of the HTTP adapter have to show; without that adapter nobody needs it."""
    name = "HANDLER_API_KEY"
    if adapter is not AdapterChoice.HTTP and not env.given(name):
        return None
    env.key(name)
    return env.secret(name)


def _queue_token(env: Environment) -> str:
    env.key("QUEUE_TOKEN")  # it goes into a header
    return env.secret("QUEUE_TOKEN")


def _worker_name(env: Environment) -> str:
    """The API counts workers by their names: two of one name are one to it."""
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).strip("._-")
    return env.name("WORKER_NAME", host or "worker")[:128]


def _callback_secret(env: Environment) -> str:
    # Of several during a rotation, the first is the one to sign with.
    return env.signing_secrets("GPU_CALLBACK_SECRET")[0]
