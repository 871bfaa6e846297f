"""Whether the service says that it is up, alive and ready."""

import asyncio
import time

import pytest

from edge_api.services import health
from edge_api.services.health import VERSION
from edge_api.services.loops import Pulse
from tests.edge_api.conftest import StartService
from tests.edge_api.object_lister import DownLister, HangingLister
from tests.edge_api.service import Service

READY = dict.fromkeys(("database", "storage", "schema", "queue", "endpoint"), "ok")


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


def test_alive_is_about_the_process_alone(start: StartService) -> None:
    service = start(lister=DownLister())
    service.change("ALTER TABLE users RENAME TO users_gone")
    response = service.api.get("/health/live")
    service.change("ALTER TABLE users_gone RENAME TO users")
    assert response.status_code == 200
    assert response.json()["data"]["checks"] == {"event_loop": "ok"}


def test_a_process_that_does_not_keep_up_is_a_503(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LAG_LIMIT", -1.0)
    response = service.api.get("/health/live")
    assert response.status_code == 503
    assert response.json()["error"]["details"] == {"checks": {"event_loop": "late"}}


def test_the_pulse_sees_a_blocked_loop_and_its_recovery() -> None:
    late: list[float] = []

    async def run() -> tuple[float, float]:
        pulse = Pulse(late.append, interval=0.01)
        beating = asyncio.create_task(pulse.beat())
        await asyncio.sleep(0.05)
        time.sleep(0.5)  # noqa: ASYNC251 - this is the fault
        blocked = pulse.lag()
        await asyncio.sleep(0.1)
        recovered = pulse.lag()
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        return blocked, recovered

    blocked, recovered = asyncio.run(run())
    assert blocked > 0.4
    assert max(late) > 0.4
    assert recovered < 0.4


def test_before_the_first_beat_nothing_is_late() -> None:
    assert Pulse(lambda _: None).lag() == 0.0


def checks_of(service: Service) -> tuple[int, dict[str, str]]:
    response = service.api.get("/health/ready")
    body = response.json()
    holder = body["data"] if response.is_success else body["error"]["details"]
    return response.status_code, holder["checks"]


def test_ready_names_all_that_a_job_goes_through(start: StartService) -> None:
    service = start()
    assert checks_of(service) == (200, READY)
    phone = service.phone()
    service.worker(phone.queued_job(1))
    assert checks_of(service) == (200, READY)


def test_a_dispatch_that_waits_too_long_is_a_503(start: StartService) -> None:
    service = start(QUEUE_AGE_LIMIT_SEC="60")
    job_id = service.phone().queued_job(1)
    service.worker(job_id)
    service.wait_until("SELECT id FROM dispatches WHERE state = 'submitted'")
    aged = "UPDATE dispatches SET state = :state, next_at = 4e9, created_at = :at"
    for state in ("new", "submitting", "uncertain"):
        service.change(aged, state=state, at=time.time() - 30)
        assert checks_of(service) == (200, READY)
        service.change(aged, state=state, at=time.time() - 90)
        assert checks_of(service) == (503, READY | {"queue": "late"})
    service.change(aged, state="submitted", at=time.time() - 90)
    assert checks_of(service) == (200, READY)


def test_an_endpoint_that_is_left_alone_is_a_503_until_its_pause_is_over(
    start: StartService,
) -> None:
    service = start()
    service.change("INSERT INTO endpoints VALUES ('endpoint1', 7, :at, 'x')", at=time.time() + 60)
    service.change("INSERT INTO endpoints VALUES ('another', 7, :at, 'x')", at=time.time() + 60)
    assert checks_of(service) == (503, READY | {"endpoint": "paused"})
    # Nothing but the next job could close it: a service that got none would never be ready.
    service.change("UPDATE endpoints SET open_until = :at", at=time.time() - 1)
    assert checks_of(service) == (200, READY)


def test_a_schema_that_lacks_a_migration_is_a_503(start: StartService) -> None:
    service = start()
    (head,) = service.rows("SELECT version_num FROM alembic_version")
    service.change("UPDATE alembic_version SET version_num = '0001'")
    assert checks_of(service) == (503, READY | {"schema": "behind"})
    service.change("UPDATE alembic_version SET version_num = 'of_a_newer_version'")
    assert checks_of(service) == (200, READY | {"schema": "ahead"})
    service.change("UPDATE alembic_version SET version_num = :head", head=head["version_num"])


def test_where_the_database_is_down_nobody_knows_the_rest(start: StartService) -> None:
    service = start(lister=DownLister())
    renamed = (("users", "users_gone"), ("dispatches", "dispatches_gone"))
    for name, gone in renamed:
        service.change(f"ALTER TABLE {name} RENAME TO {gone}")
    found = checks_of(service)
    for name, gone in renamed:
        service.change(f"ALTER TABLE {gone} RENAME TO {name}")
    assert found == (
        503,
        dict.fromkeys(READY, "unknown") | {"database": "unavailable", "storage": "unavailable"},
    )
