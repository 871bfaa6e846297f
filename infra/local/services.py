"""Which processes make up the stack, and what each is told."""

import os
import sys
from collections.abc import Callable, Mapping

from msgspec import Struct

from infra.local.control import Platform
from infra.local.probes import answers_ok, is_listening
from infra.local.runpod.environment import WorkerSeat, worker_environment
from infra.local.site import BUCKET, ENDPOINT_ID, LOOPBACK, Site

INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
WORKER_CHOICES = (
    "SEGMENTER",
    "SAM3_MODEL",
    "SAM3_DEVICE",
    "SAM3_DTYPE",
    "SAM3_COMPILE",
    "MODEL_CACHE_DIR",
    "HF_TOKEN",
    "CUDA_VISIBLE_DEVICES",
)
"""What the starter's own environment may choose for the workers."""

PATIENCE_S = 60.0
MODEL_PATIENCE_S = 900.0
"""Gigabytes of weights are read, or even fetched, before such a worker reports."""

PING_INTERVAL_S = 2
HEARTBEAT_TIMEOUT_S = 20

Probe = Callable[[str], bool]


class Service(Struct, frozen=True, kw_only=True):
    """One process. Those of a later `stage` start when the earlier ones are ready, and stop first.

    `probe` says whether it can be used; it gets the name, or for a `pod` the current worker id.
    A `pod` is what the platform keeps running: whenever it ends it is started again, as another
    worker. `patience` is how many seconds it may take until it is ready.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stage: int = 0
    pod: bool = False
    probe: Probe = lambda _: True
    patience: float = PATIENCE_S

    def __repr__(self) -> str:
        return f"Service({self.name})"


class Wishes(Struct, frozen=True, kw_only=True):
    """What the starter of a stack may choose."""

    workers: int = 1
    api_env: Mapping[str, str] = {}
    worker_env: Mapping[str, str] = {}


def local_services(site: Site, wishes: Wishes, environ: Mapping[str, str]) -> tuple[Service, ...]:
    """The whole stack. `environ` is the starter's own; little of it is passed on."""
    names = ["worker", *(f"worker-{number}" for number in range(2, wishes.workers + 1))]
    workers = [_worker(site, wishes, environ, name) for name in names[: wishes.workers]]
    return (_store(site, environ), _runpod(site, environ), _api(site, wishes, environ), *workers)


def minimal_environment(
    site: Site, environ: Mapping[str, str], *, threads: int = 1
) -> dict[str, str]:
    """What every child gets. A home of its own: the SDKs would read a person's keys from theirs."""
    return {
        **{name: environ[name] for name in INHERITED if name in environ},
        **dict.fromkeys(THREAD_LIMITS, str(threads)),
        "HOME": str(site.data_dir / "home"),
        "NO_PROXY": "*",
        "PYTHONUNBUFFERED": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ENV": "development",
    }


def _store(site: Site, environ: Mapping[str, str]) -> Service:
    root = site.data_dir / "objects"
    listen = ("--host", site.host, "--port", str(site.store_port))
    return Service(
        name="store",
        argv=_python("infra.local.store", *listen, "--root", str(root), "--bucket", BUCKET),
        env=minimal_environment(site, environ)
        | {
            "STORE_ACCESS_KEY": site.secrets.store_access_key,
            "STORE_SECRET_KEY": site.secrets.store_secret_key,
        },
        probe=lambda _: is_listening(site.host, site.store_port),
    )


def _runpod(site: Site, environ: Mapping[str, str]) -> Service:
    listen = ("--host", LOOPBACK, "--port", str(site.runpod_port))
    patience = ("--heartbeat-timeout", str(HEARTBEAT_TIMEOUT_S))
    return Service(
        name="runpod",
        argv=_python("infra.local.runpod", *listen, *patience),
        env=minimal_environment(site, environ)
        | {
            "RUNPOD_API_KEY": site.secrets.runpod_api_key,
            "RUNPOD_WORKER_KEY": site.secrets.runpod_worker_key,
        },
        probe=lambda _: is_listening(LOOPBACK, site.runpod_port),
    )


def _api(site: Site, wishes: Wishes, environ: Mapping[str, str]) -> Service:
    settings = {
        "PUBLIC_URL": site.api_url,
        "DATABASE_URL": f"sqlite:///{site.data_dir / 'edge.db'}",
        "JWT_SECRET": site.secrets.jwt_secret,
        "GPU_CALLBACK_SECRET": site.secrets.callback_secret,
        "R2_ENDPOINT_URL": site.store_url,
        "R2_ACCESS_KEY_ID": site.secrets.store_access_key,
        "R2_SECRET_ACCESS_KEY": site.secrets.store_secret_key,
        "R2_BUCKET_NAME": BUCKET,
        "RUNPOD_API_KEY": site.secrets.runpod_api_key,
        "RUNPOD_ENDPOINT_ID": ENDPOINT_ID,
        "RUNPOD_BASE_URL": f"{site.runpod_url}/v2",
        # A web build under development is served from anywhere; tokens are no cookies.
        "CORS_ORIGINS": environ.get("CORS_ORIGINS") or "*",
    }
    return Service(
        name="api",
        argv=_python("edge_api", "serve", "--host", site.host, "--port", str(site.api_port)),
        env={**minimal_environment(site, environ), **settings, **wishes.api_env},
        stage=1,
        probe=lambda _: answers_ok(f"{site.api_url}/health"),
    )


def _worker(site: Site, wishes: Wishes, environ: Mapping[str, str], name: str) -> Service:
    platform = Platform(site.runpod_url, site.secrets.runpod_api_key)
    seat = WorkerSeat(
        base_url=f"{site.runpod_url}/v2",
        endpoint_id=ENDPOINT_ID,
        worker_id=name,
        worker_key=site.secrets.runpod_worker_key,
        ping_interval=PING_INTERVAL_S,
    )
    settings = {
        "STORAGE_S3_ENDPOINT": site.store_url,
        "STORAGE_ACCESS_KEY": site.secrets.store_access_key,
        "STORAGE_SECRET_KEY": site.secrets.store_secret_key,
        "STORAGE_BUCKET": BUCKET,
        "GPU_CALLBACK_SECRET": site.secrets.callback_secret,
        "MODEL_CACHE_DIR": str(site.data_dir / "models"),
        "SEGMENTER": "classical",
        "ADAPTER": "runpod",
        "LOG_LEVEL": "INFO",
    }
    chosen = {name: environ[name] for name in WORKER_CHOICES if environ.get(name)}
    settings |= {**chosen, **wishes.worker_env}
    base = minimal_environment(site, environ, threads=_threads(wishes.workers))
    return Service(
        name=name,
        argv=_python("gpu_handler.handler"),
        env={**base, **worker_environment(seat), **settings},
        stage=1,
        pod=True,
        patience=PATIENCE_S if settings["SEGMENTER"] == "classical" else MODEL_PATIENCE_S,
        probe=lambda worker_id: worker_id in platform.report().workers,
    )


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-m", module, *arguments)


def _threads(workers: int) -> int:
    """For each numerical call of a worker, which makes several at once."""
    return max(1, (os.cpu_count() or 1) // (2 * max(1, workers)))
