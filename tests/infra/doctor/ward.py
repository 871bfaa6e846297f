"""A whole deployment on this machine: the real API between emulators of Runpod and R2."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import httpx
from litestar import Litestar
from msgspec import Struct

from edge_api.asgi import create_app
from edge_api.settings import Settings
from infra.deploy.bucket_rules import CorsRule
from infra.deploy.buckets import BucketSettings
from infra.deploy.runpod import RunpodRest
from infra.doctor.endpoint import look_at_endpoint
from infra.doctor.examination import examine
from infra.doctor.findings import Finding, Mark
from infra.doctor.patient import Patient
from infra.local.runpod.serving import serve_runpod
from infra.local.runpod.settings import RunpodSettings
from shared.objects import ObjectStore
from tests.infra.deploy.cloud import Cloud, Snapshot, opened_anew
from tests.infra.deploy.serving import served

ORIGIN = "https://app.example.com"
BUCKET = "s3-images"


class Ward(Struct, frozen=True):
    """`environ` is the API's own; the doctor gets it with the changes of a test."""

    both: Cloud
    environ: dict[str, str]

    def examine(self, *, photo: bool = False, patience: float = 1.0) -> list[Finding]:
        patient = Patient.from_env(self.environ)
        return list(examine(patient, photo=photo, patience=patience))

    def troubles(
        self, *, photo: bool = False, patience: float = 1.0, api: str = "", **changes: str
    ) -> list[str]:
        """The sentences that say that something is wrong."""
        patient = Patient.from_env(self.environ | changes, api)
        return sentences(examine(patient, photo=photo, patience=patience))

    def shell(self, **changes: str) -> None:
        """In the environment of who deploys."""
        self.both.environ.update(changes)

    def told(self) -> dict[str, str]:
        """What workers are told, to be changed."""
        return self.both.runpod.endpoints[self.both.endpoint_id]["env"]

    def add_worker(self, status: str, *lines: str) -> None:
        self.both.runpod.add_worker(self.both.endpoint_id, status, *lines)

    def http(self) -> httpx.Client:
        return httpx.Client(trust_env=False)

    def endpoint_troubles(self) -> list[str]:
        """The same of the look at Runpod alone."""
        patient = Patient.from_env(self.environ)
        with (
            httpx.Client(trust_env=False) as http,
            RunpodRest(patient.rest_url, patient.runpod_key) as runpod,
        ):
            return sentences(look_at_endpoint(http, runpod, patient))

    def store(self) -> ObjectStore:
        keys = (self.environ["R2_ACCESS_KEY_ID"], self.environ["R2_SECRET_ACCESS_KEY"])
        return ObjectStore(self.environ["R2_ENDPOINT_URL"], BUCKET, *keys)

    def set_cors(self, *origins: str) -> None:
        keys = ("r2-access-key", "r2-secret-key")
        rules = [CorsRule(origins, ("GET", "HEAD", "PUT"), ("content-type",))]
        BucketSettings(self.environ["R2_ENDPOINT_URL"], BUCKET, *keys).set_cors(rules)


def sentences(found: Iterable[Finding]) -> list[str]:
    """Of what is wrong."""
    return [finding.sentence for finding in found if finding.mark is Mark.TROUBLE]


def api(environ: dict[str, str]) -> Litestar:
    return create_app(Settings.from_env(environ))


def api_environment(shared: Cloud, jobs: str, folder: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'edge.db'}",
        "JWT_SECRET": "jwt-secret-" + "j" * 32,
        "GPU_CALLBACK_SECRET": "callback-secret-" + "c" * 32,
        "R2_ENDPOINT_URL": shared.environ["store"],
        "R2_ACCESS_KEY_ID": "r2-access-key",
        "R2_SECRET_ACCESS_KEY": "r2-secret-key",
        "RUNPOD_REST_URL": f"{shared.environ['rest']}/v2",
        "RUNPOD_BASE_URL": jobs,
        "RUNPOD_API_KEY": shared.runpod.api_key,
        "RUNPOD_ENDPOINT_ID": "endpoint1",
        "PUBLIC_URL": "https://api.test",
        "CORS_ORIGINS": ORIGIN,
        "SIGNUPS_PER_HOUR": "0",
        "CALLS_PER_MINUTE": "0",
    }


@contextmanager
def ward(shared: Cloud, folder: Path) -> Generator[dict[str, str]]:
    """The API's environment, while it runs."""
    settings = RunpodSettings(api_key=shared.runpod.api_key, worker_key="worker-key")
    with serve_runpod(settings) as jobs:
        environ = api_environment(shared, jobs.base_url, folder)
        shared.r2.add(BUCKET)
        with served(api(environ)) as url:
            yield environ | {"PUBLIC_URL": url}


def healthy(shared: Cloud, snapshot: Snapshot, environ: dict[str, str], folder: Path) -> Ward:
    """Everything as `deploy apply` leaves it."""
    both = opened_anew(shared, folder)
    snapshot.restore(both)
    return Ward(both, environ | {"RUNPOD_ENDPOINT_ID": both.endpoint_id})
