"""Every test that asks for `server` runs against the embedded store, Swift, and R2."""

from collections.abc import Generator
from itertools import count

import pytest

from shared.objects import ObjectStore
from tests.objects import servers
from tests.objects.servers import RUN, Server, r2_missing

_numbers = count()


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with servers.embedded(tmp_path_factory.mktemp("embedded")) as server:
        yield server


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with servers.swift(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(scope="session")
def r2_server() -> Generator[Server]:
    with servers.r2() as server:
        yield server


# R2 is left out rather than skipped test by test; test_r2.py says why, once.
@pytest.fixture(params=["embedded", "swift", *([] if r2_missing() else ["r2"])])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def store(server: Server) -> ObjectStore:
    return server.store


@pytest.fixture
def folder() -> str:
    """The beginning of the test's own keys."""
    return f"{RUN}{next(_numbers)}/"
