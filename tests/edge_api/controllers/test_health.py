"""Whether the service says that it is up."""

import pytest

from edge_api.services import health
from edge_api.services.health import VERSION
from tests.edge_api.conftest import StartService
from tests.edge_api.object_lister import DownLister, HangingLister
from tests.edge_api.service import Service


def test_health_is_public_and_names_its_checks(service: Service) -> None:
    response = service.api.get("/health")
    assert response.status_code == 200
    assert response.json()["data"] == {
        "status": "ok",
        "version": VERSION,
        "checks": {"database": "ok", "storage": "ok"},
    }


def test_a_bucket_that_does_not_answer_is_a_503(start: StartService) -> None:
    response = start(lister=DownLister()).api.get("/health")
    assert response.status_code == 503
    error = response.json()["error"]
    assert error["code"] == "UNAVAILABLE"
    assert error["details"]["checks"] == {"database": "ok", "storage": "unavailable"}
    assert int(response.headers["retry-after"]) > 0


def test_a_database_that_cannot_be_read_is_a_503(start: StartService) -> None:
    service = start()
    service.change("ALTER TABLE users RENAME TO users_gone")
    response = service.api.get("/health")
    assert response.status_code == 503
    assert response.json()["error"]["details"]["checks"] == {
        "database": "unavailable",
        "storage": "ok",
    }
    service.change("ALTER TABLE users_gone RENAME TO users")
    assert service.api.get("/health").status_code == 200


def test_a_bucket_that_hangs_does_not_hang_the_check(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT", 0.1)
    lister = HangingLister()
    service = start(lister=lister)
    try:
        response = service.api.get("/health")
    finally:
        lister.release.set()
    assert response.status_code == 503
    assert response.json()["error"]["details"]["checks"]["storage"] == "timeout"
