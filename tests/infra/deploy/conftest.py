"""Both clouds, empty for each test."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.infra.deploy.cloud import Cloud, Snapshot, cloud, opened_anew


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cloud]:
    with cloud(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def both(servers: Cloud, tmp_path: Path) -> Cloud:
    return opened_anew(servers, tmp_path)


@pytest.fixture(scope="module")
def snapshot(servers: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    both = opened_anew(servers, tmp_path_factory.mktemp("applied"))
    assert both.deploy("apply") == 0
    return Snapshot.of(both)


@pytest.fixture
def applied(snapshot: Snapshot, both: Cloud) -> Cloud:
    """As after `apply`."""
    snapshot.restore(both)
    return both
