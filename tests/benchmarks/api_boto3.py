"""Our service, and under `/boto3` its job calls once more with URLs signed by botocore."""

import os
import time
from typing import cast

import boto3
from botocore.config import Config
from litestar import Litestar, Router
from litestar.di import Provide
from msgspec.structs import replace

from edge_api.asgi import create_app
from edge_api.controllers.jobs import JobController
from edge_api.services import Services
from edge_api.services.idempotency import NO_CLAIM, Claim
from edge_api.services.jobs import Jobs, reserve_job
from edge_api.services.links import Links, UploadLink
from edge_api.settings import Settings
from edge_api.storage.addresses import open_database
from shared.objects import ObjectStore
from shared.presign import Presigner
from tests.benchmarks.api_command import serve

PREFIX = "/boto3"


class BotocorePresigner(Presigner):
    """One `generate_presigned_url` for each URL; nothing is remembered."""

    def __init__(self, endpoint: str, bucket: str, access_key: str, secret_key: str) -> None:
        super().__init__(endpoint, bucket, access_key, secret_key)
        self._name = bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="auto",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def put(self, key: str, *, now: float) -> str:
        return self._generate("put_object", key)

    def get(self, key: str, *, now: float) -> str:
        return self._generate("get_object", key)

    def _generate(self, operation: str, key: str) -> str:
        target = {"Bucket": self._name, "Key": key}
        return self._client.generate_presigned_url(operation, target, ExpiresIn=7200)


class InTurn(Jobs):
    """Makes the job, and then signs in a loop."""

    async def create(
        self, user_id: str, preset_id: str, item_count: int, claim: Claim = NO_CLAIM
    ) -> tuple[str, list[UploadLink]]:
        reserve = claim.settling(reserve_job, str)
        job_id = await self._database.write(reserve, user_id, preset_id, item_count, time.time())
        return job_id, await self._links.uploads(user_id, job_id, range(item_count))


def compose(settings: Settings) -> Litestar:
    """Both ways in one process, over one database."""
    app = create_app(settings)
    storage = (settings.storage_endpoint, settings.storage_bucket, settings.storage_access_key)
    secret = settings.storage_secret_key.reveal()
    links = Links(BotocorePresigner(*storage, secret))
    database = open_database(settings.database_url.reveal())
    jobs = InTurn(database, ObjectStore(*storage, secret), links, lambda: None)
    services = replace(cast("Services", app.state.services), links=links, jobs=jobs)
    app.register(
        Router(
            PREFIX,
            route_handlers=[JobController],
            dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
            include_in_schema=False,
        )
    )
    return app


if __name__ == "__main__":
    serve(compose(Settings.from_env(os.environ)))
