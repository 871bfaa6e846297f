"""Where Runpod and the bucket are, and the keys to them: from the environment alone."""

from collections.abc import Mapping
from typing import Self

from msgspec import Struct

from edge_api.settings import storage_endpoint
from shared.environment import Environment

REST_URL = "https://api.runpod.io/v2"
JOBS_URL = "https://api.runpod.ai/v2"


class Access(Struct, frozen=True, kw_only=True):
    """`rest_url` manages endpoints, `jobs_url` runs jobs on them; both end in `/v2`."""

    rest_url: str
    jobs_url: str
    runpod_key: str
    store_endpoint: str
    store_access_key: str
    store_secret_key: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """R2_ADMIN_* open the bucket's own settings, where R2_* may only read and write objects.

        Raises SettingsError.
        """
        env = Environment(environ)
        admin = "R2_ADMIN_" if env.given("R2_ADMIN_ACCESS_KEY_ID") else "R2_"
        return cls(
            rest_url=env.url("RUNPOD_REST_URL", REST_URL),
            jobs_url=env.url("RUNPOD_BASE_URL", JOBS_URL),
            runpod_key=env.key("RUNPOD_API_KEY"),
            store_endpoint=storage_endpoint(env),
            store_access_key=env.key(f"{admin}ACCESS_KEY_ID"),
            store_secret_key=env.key(f"{admin}SECRET_ACCESS_KEY"),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.runpod_key, self.store_access_key, self.store_secret_key)

    def __repr__(self) -> str:
        return f"Access({self.rest_url!r}, {self.store_endpoint!r})"
