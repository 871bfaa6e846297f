"""The deployment that is looked at, as the API's own settings describe it."""

from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import urlsplit

from msgspec import Struct

from edge_api.settings import storage_endpoint
from infra.deploy.access import JOBS_URL, REST_URL
from shared.environment import Environment
from shared.s3_client import is_loopback


class Patient(Struct, frozen=True, kw_only=True):
    """`api_url` is where this machine reaches the API, `public_url` where workers do; they are
    mostly the same. `origins` are those whose pages must be able to call and to upload."""

    api_url: str
    public_url: str
    callback_secrets: tuple[str, ...]
    origins: tuple[str, ...]
    rest_url: str
    jobs_url: str
    runpod_key: str
    endpoint_id: str
    store_endpoint: str
    bucket: str
    store_access_key: str
    store_secret_key: str

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str], api: str = "", origins: Sequence[str] = ()
    ) -> Self:
        """The same variables as `edge_api` reads. Raises SettingsError."""
        env = Environment(environ)
        public_url = env.url("PUBLIC_URL", api or None)
        known = [origin for origin in env.parts("CORS_ORIGINS") if origin != "*"]
        return cls(
            api_url=api.rstrip("/") or public_url,
            public_url=public_url,
            callback_secrets=env.signing_secrets("GPU_CALLBACK_SECRET"),
            origins=tuple(dict.fromkeys([*known, *origins])),
            rest_url=env.url("RUNPOD_REST_URL", REST_URL),
            jobs_url=env.url("RUNPOD_BASE_URL", JOBS_URL),
            runpod_key=env.key("RUNPOD_API_KEY"),
            endpoint_id=env.name("RUNPOD_ENDPOINT_ID"),
            store_endpoint=storage_endpoint(env),
            bucket=env.name("R2_BUCKET_NAME", "s3-images"),
            store_access_key=env.key("R2_ACCESS_KEY_ID"),
            store_secret_key=env.key("R2_SECRET_ACCESS_KEY"),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.runpod_key, self.store_secret_key, *self.callback_secrets)

    @property
    def callback_host(self) -> str:
        return urlsplit(self.public_url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Whether Runpod is an emulator on this machine: then loopback addresses are fine."""
        return is_loopback(self.jobs_url)

    def __repr__(self) -> str:
        return f"Patient({self.api_url!r}, endpoint={self.endpoint_id!r}, bucket={self.bucket!r})"
