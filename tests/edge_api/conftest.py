"""The service on a temporary database, with a real object store and a Runpod double."""

import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache

import httpx
import pytest
from litestar.testing import TestClient
from sqlalchemy import Connection, Engine

from edge_api.asgi import Intervals, create_app
from edge_api.services.jobs import Objects
from edge_api.settings import Settings
from edge_api.storage.migrate import upgrade
from infra.local.store import ServedStore, serve_store
from shared.objects import ObjectStore
from tests.edge_api.books import assert_books_balance
from tests.edge_api.documents import Documented, document
from tests.edge_api.phone import Phone
from tests.edge_api.runpod_double import RunpodDouble
from tests.edge_api.service import Service, environment, open_engine
from tests.edge_api.serving import serve
from tests.postgres import run_postgres

WOKEN = Intervals(dispatch=60.0, reconcile=60.0, expire=60.0)
"""The loops step once at the start and when something wakes them."""

EAGER = Intervals(dispatch=0.05, reconcile=0.05, expire=0.05)

DATABASES = ("sqlite", "postgresql")
MakeDatabase = Callable[[str], str]
"""Kind in, address of a new migrated database out."""

StartService = Callable[..., Service]
Launch = Callable[..., AbstractContextManager[Service]]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedStore]:
    with serve_store(tmp_path_factory.mktemp("store")) as served:
        yield served


@pytest.fixture(scope="session")
def objects(store: ServedStore) -> ObjectStore:
    return ObjectStore(store.endpoint, store.bucket, store.access_key, store.secret_key)


@pytest.fixture(scope="session")
def make_empty(tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeDatabase]:
    """Makes databases without tables; PostgreSQL runs from the first that is asked for."""
    with ExitStack() as stack:
        server = lru_cache(1)(lambda: stack.enter_context(run_postgres()))

        def make(kind: str) -> str:
            name, _, template = kind.partition(":")
            if name == "postgresql":
                return server().create(template or None)
            return f"sqlite:///{tmp_path_factory.mktemp('database') / 'edge.db'}"

        yield make


@pytest.fixture(scope="session")
def make_database(make_empty: MakeDatabase) -> MakeDatabase:
    """Makes migrated databases; only the first of each kind pays for the migrations."""
    templates: dict[str, str] = {}

    def make(kind: str) -> str:
        if kind not in templates:
            templates[kind] = make_empty(kind)
            upgrade(templates[kind])
        template = templates[kind]
        if kind == "postgresql":
            return make_empty(f"postgresql:{template.rpartition('/')[2]}")
        url = make_empty(kind)
        shutil.copyfile(template.removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))
        return url

    return make


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    """What holds on one database holds on the other."""
    return request.param


@pytest.fixture
def database_url(make_database: MakeDatabase, database_kind: str) -> str:
    """A migrated database of the test's own."""
    return make_database(database_kind)


@pytest.fixture
def engine(database_url: str) -> Generator[Engine]:
    """Into that database; at the end of the test its books must balance."""
    engine = open_engine(database_url)
    yield engine
    with engine.begin() as connection:
        assert_books_balance(connection)
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Generator[Connection]:
    """One transaction for the whole test, for storage and service functions called directly."""
    with engine.begin() as connection:
        yield connection


@pytest.fixture(scope="session")
def launch(store: ServedStore, objects: ObjectStore) -> Launch:
    """Runs a service on that database, for as long as the context lasts."""
    documented: list[Documented] = []

    @contextmanager
    def run(
        url: str,
        *,
        intervals: Intervals = WOKEN,
        lister: Objects = objects,
        **variables: str,
    ) -> Generator[Service]:
        settings = Settings.from_env(environment(store, url) | variables)
        runpod = RunpodDouble()
        app = create_app(
            settings, objects=lister, runpod_transport=runpod.transport, intervals=intervals
        )
        if not documented:  # all apps have the same document, and it takes a while to make
            documented.append(Documented(document(app)))
        engine = open_engine(url)
        with TestClient(app) as api:
            api.event_hooks = {"response": [documented[0].check]}
            yield Service(api, runpod, settings, engine)
        engine.dispose()

    return run


@pytest.fixture
def start(launch: Launch, database_url: str) -> Generator[StartService]:
    """Starts a service of the test's own, with its own settings, loops and object store."""
    with ExitStack() as stack:

        def start_service(**options: object) -> Service:
            service = stack.enter_context(launch(database_url, **options))
            stack.callback(service.assert_balanced)
            return service

        yield start_service


@pytest.fixture(scope="session")
def shared_service(
    launch: Launch,
    make_database: MakeDatabase,
) -> Generator[Service]:
    with launch(make_database("sqlite")) as service:
        yield service
        service.assert_balanced()


@pytest.fixture(scope="session", params=DATABASES)
def served_service(
    store: ServedStore,
    objects: ObjectStore,
    make_database: MakeDatabase,
    request: pytest.FixtureRequest,
) -> Generator[Service]:
    """The service behind a real server, for calls at the same time and odd bytes."""
    url = make_database(request.param)
    settings = Settings.from_env(environment(store, url))
    runpod = RunpodDouble()
    app = create_app(settings, objects=objects, runpod_transport=runpod.transport, intervals=WOKEN)
    engine = open_engine(url)
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
    with (
        serve(app) as address,
        httpx.Client(base_url=address, trust_env=False, limits=limits, timeout=30) as api,
    ):
        api.event_hooks = {"response": [Documented(document(app)).check]}
        service = Service(api, runpod, settings, engine)
        yield service
        service.assert_balanced()
    engine.dispose()


@pytest.fixture
def service(shared_service: Service) -> Generator[Service]:
    """One service for all tests: accounts keep them apart. After each, the books balance."""
    since = time.time()
    yield shared_service
    assert not shared_service.runpod.answers
    shared_service.assert_balanced(since)


@pytest.fixture
def phone(service: Service) -> Phone:
    """A new account on the free plan."""
    return service.phone()
