"""One API for all tests of a module; the clouds are as after `deploy apply` for each."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.infra.deploy.cloud import Cloud, Snapshot, cloud, opened_anew
from tests.infra.doctor.ward import Ward, healthy, ward


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cloud]:
    with cloud(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(scope="module")
def environ(servers: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    with ward(servers, tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(scope="module")
def snapshot(
    servers: Cloud, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Snapshot:
    # After the API, which needs a bucket to start with.
    assert environ
    both = opened_anew(servers, tmp_path_factory.mktemp("applied"))
    assert both.deploy("apply") == 0
    return Snapshot.of(both)


@pytest.fixture
def well(servers: Cloud, snapshot: Snapshot, environ: dict[str, str], tmp_path: Path) -> Ward:
    return healthy(servers, snapshot, environ, tmp_path)
