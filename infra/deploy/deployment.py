"""The file that says what is wanted: one endpoint and one bucket."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from infra.deploy.errors import DeployError
from shared.environment import Environment, SettingsError, check_origin

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
BucketName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Count = Annotated[int, Meta(ge=0, le=1000)]
Days = Annotated[int, Meta(ge=0, le=3650)]
# More are taken without a word, and workers then never start:
# https://docs.runpod.io/serverless/endpoints/endpoint-configurations
Pools = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=3)]


class EndpointWish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gpu_pools` in the order of preference; `env_from` maps a variable of the worker to the one
    of the caller's environment that holds its value, which is never written down."""

    name: Name
    image: Annotated[str, Meta(min_length=1)]
    gpu_pools: Pools
    gpu_count: Annotated[int, Meta(ge=1, le=8)] = 1
    min_cuda_version: Annotated[str, Meta(pattern=r"^\d+\.\d+$")] | None = None
    workers_min: Count = 0
    workers_max: Annotated[int, Meta(ge=1, le=1000)] = 3
    idle_timeout_sec: Annotated[int, Meta(ge=1, le=3600)] = 30
    queue_delay_sec: Annotated[float, Meta(ge=0.5)] = 4.0
    flashboot: bool = True
    execution_timeout_sec: Annotated[int, Meta(ge=5, le=7 * 86400)] = 900
    container_disk_gb: Annotated[int, Meta(ge=1)] = 20
    registry: str | None = None
    cached_model: str | None = None
    env: dict[Variable, str] = {}
    env_from: dict[Variable, Variable] = {}


class BucketWish(Struct, frozen=True, forbid_unknown_fields=True):
    """`cors_origins` are those of the app's web build; phones need none.

    The API deletes so many days after a job's end, 0 never; the bucket by an object's own age,
    which is up to two days more when its job ends: hence the margin. infra/terraform has the same.
    """

    name: BucketName = "s3-images"
    cors_origins: tuple[str, ...] = ()
    input_retention_days: Days = 7
    result_retention_days: Days = 30
    retention_margin_days: Annotated[int, Meta(ge=2, le=90)] = 3

    @property
    def lifecycle(self) -> dict[str, int]:
        """Days after which the bucket deletes what the API did not, by prefix."""
        kept = {
            "inputs/": self.input_retention_days,
            "outputs/": self.result_retention_days,
            "previews/": self.result_retention_days,
            "masks/": self.result_retention_days,
        }
        return {prefix: days + self.retention_margin_days for prefix, days in kept.items() if days}


class Deployment(Struct, frozen=True, forbid_unknown_fields=True):
    """One file's content, checked in itself."""

    endpoint: EndpointWish
    bucket: BucketWish = BucketWish()

    def worker_env(self, environ: Mapping[str, str], store_endpoint: str) -> dict[str, str]:
        """Everything that a worker is told, secrets among it. Raises SettingsError."""
        env = Environment(environ)
        told = {"STORAGE_S3_ENDPOINT": store_endpoint, "STORAGE_BUCKET": self.bucket.name}
        secrets = {name: env.text(source) for name, source in self.endpoint.env_from.items()}
        return told | self.endpoint.env | secrets


def read_deployment(path: Path) -> Deployment:
    """Raises DeployError with the place in the file that does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            deployment = msgspec.json.decode(text, type=Deployment)
        else:
            deployment = msgspec.convert(tomllib.loads(text), Deployment)
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeployError(f"{path} does not fit: {error}.") from error
    _check(path, deployment)
    return deployment


def _check(path: Path, deployment: Deployment) -> None:
    endpoint = deployment.endpoint
    if endpoint.workers_min > endpoint.workers_max:
        raise DeployError(f"{path} does not fit: workers_min is above workers_max.")
    if both := endpoint.env.keys() & endpoint.env_from.keys():
        raise DeployError(f"{path} does not fit: {min(both)} is in env and in env_from.")
    if not _is_pinned(endpoint.image):
        raise DeployError(
            f"{path} does not fit: image needs a version or a digest, since Runpod's machines "
            "keep what they once fetched under a name."
        )
    try:
        for origin in deployment.bucket.cors_origins:
            check_origin("cors_origins", origin)
    except SettingsError as error:
        raise DeployError(f"{path} does not fit: {error}.") from error


def _is_pinned(image: str) -> bool:
    name = image.rpartition("/")[2]
    tag = name.partition(":")[2]
    return "@sha256:" in image or tag not in ("", "latest")
