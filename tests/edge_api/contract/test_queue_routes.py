"""The routes for workers, where the service has a queue, answer as its document says."""

from collections.abc import Generator
from typing import Any

import httpx
import pytest
from schemathesis import HookContext
from sqlalchemy import Connection

from edge_api.asgi import create_app
from edge_api.settings import Settings
from edge_api.storage.queued_jobs import enqueue_job, lease_job
from infra.local.store import ServedStore
from shared.objects import ObjectStore
from tests.edge_api.conftest import MakeDatabase
from tests.edge_api.contract.campaign import FUZZING, campaign
from tests.edge_api.contract.conftest import STILL, UNLIMITED
from tests.edge_api.contract.stage import AnyCase, Stage
from tests.edge_api.phone import Phone
from tests.edge_api.rows import new_user
from tests.edge_api.runpod_double import RunpodDouble
from tests.edge_api.service import Service, environment, open_engine
from tests.edge_api.serving import serve

Json = dict[str, Any]

TOKEN = "a-token-of-the-queue-alone-" + "q" * 32
FOREVER = 4e9
NOW = 1.7e9


class Workers(Stage):
    """Every other call is about a job that is there, by who holds it."""

    def __init__(self, service: Service, objects: ObjectStore, *, anonymous: bool) -> None:
        super().__init__(service, objects, anonymous=anonymous)
        self.visitor = Phone(service.api, TOKEN)
        self._count = 0
        self._held = service

    def before_call(self, context: HookContext, case: AnyCase, kwargs: Json) -> None:
        body: object = case.body
        if isinstance(body, dict) and isinstance(body.get("wait"), int | float):
            body["wait"] = 0
        self._count += 1
        if self._count % 2 or not isinstance(body, dict):
            return
        with self._held.transaction() as connection:
            job_id = queue_job(connection, self._count)
        if "queued_id" in case.path_parameters and isinstance(body.get("lease"), str):
            case.path_parameters["queued_id"] = job_id
            body["lease"] = "held"


def queue_job(connection: Connection, number: int) -> str:
    """One that "held" is the lease of; the next waits."""
    user = new_user(connection)
    for name in (f"queued_{number}", f"queued_{number}b"):
        enqueue_job(connection, name, f"d{name}", user, {}, FOREVER, FOREVER, NOW + number)
    leased = lease_job(connection, "pod-1", "held", FOREVER, NOW)
    assert leased is not None
    return leased.id


@pytest.fixture(scope="module")
def queue_service(
    store: ServedStore, objects: ObjectStore, make_database: MakeDatabase
) -> Generator[Service]:
    url = make_database("sqlite")
    variables = UNLIMITED | {"DISPATCH": "queue", "QUEUE_TOKEN": TOKEN}
    settings = Settings.from_env(environment(store, url) | variables)
    app = create_app(settings, objects=objects, intervals=STILL)
    engine = open_engine(url)
    with (
        serve(app) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as api,
    ):
        yield Service(api, RunpodDouble(), settings, engine)
    engine.dispose()


@pytest.fixture(scope="module")
def routes(queue_service: Service) -> Json:
    """The served document, with nothing but those routes."""
    document = queue_service.api.get("/docs/openapi.json").json()
    paths = {path: calls for path, calls in document["paths"].items() if path.startswith("/queue")}
    assert len(paths) == 3
    return document | {"paths": paths}


@pytest.mark.parametrize("anonymous", [False, True])
def test_workers_calls(
    queue_service: Service, objects: ObjectStore, routes: Json, anonymous: bool
) -> None:
    stage = Workers(queue_service, objects, anonymous=anonymous)
    phases = FUZZING if anonymous else ("examples", "fuzzing")
    address = str(queue_service.api.base_url)
    report = campaign(routes, address, stage, phases, examples=10, seed=1)
    assert not report.failures, "\n\n".join(report.failures.values())
    for path in routes["paths"]:
        statuses = report.statuses(f"POST {path}")
        assert statuses <= {401, 415} if anonymous else 200 in statuses, path
