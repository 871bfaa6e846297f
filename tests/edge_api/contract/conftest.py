"""For each file a service of its own behind a real server, and the document that it serves."""

from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest

from edge_api.asgi import Intervals, create_app
from edge_api.settings import Settings
from infra.local.store import ServedStore
from shared.objects import ObjectStore
from tests.edge_api.runpod_double import RunpodDouble
from tests.edge_api.service import Service, environment, open_engine
from tests.edge_api.serving import serve

Json = dict[str, Any]

STILL = Intervals(dispatch=3600.0, reconcile=3600.0, expire=3600.0)
"""The loops step when something wakes them; time alone changes no row."""

UNLIMITED = {"SIGNUPS_PER_HOUR": "0", "CALLS_PER_MINUTE": "0", "FREE_CREDITS_PER_DAY": "100000000"}
"""One address signs up hundreds of people here, and calls as fast as it can."""


@pytest.fixture(scope="module")
def contract_service(
    store: ServedStore,
    objects: ObjectStore,
    make_database: Callable[[str], str],
) -> Generator[Service]:
    url = make_database("sqlite")
    settings = Settings.from_env(environment(store, url) | UNLIMITED)
    runpod = RunpodDouble()
    app = create_app(settings, objects=objects, runpod_transport=runpod.transport, intervals=STILL)
    engine = open_engine(url)
    with (
        serve(app) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as api,
    ):
        service = Service(api, runpod, settings, engine)
        yield service
        service.assert_balanced()
    engine.dispose()


@pytest.fixture(scope="module")
def openapi(contract_service: Service) -> Json:
    """As a client generator gets it."""
    return contract_service.api.get("/docs/openapi.json").json()
