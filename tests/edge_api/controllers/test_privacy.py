"""Leaving, taking everything along, and what is deleted by itself."""

import time
from typing import Any

import httpx

from shared.keys import instances_key, output_key, preview_key
from shared.objects import ObjectStore
from tests.edge_api.conftest import EAGER, StartService
from tests.edge_api.object_lister import DownLister
from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

OWN = ("jobs", "rules", "billing_events", "idempotency_keys")
DAY = 86400


def busy_phone(service: Service, objects: ObjectStore, device: str | None = None) -> Phone:
    """A user with a finished job, its objects, a rule and a job that Runpod has."""
    phone = Phone(service.api).sign_up(device)
    service.change("UPDATE users SET plan = 'pro' WHERE id = :user", user=phone.user_id)
    headers = {"Idempotency-Key": "k"}
    body = {"name": "r", "preset_id": "interior", **RULE}
    assert phone.call("POST", "/rules", body, headers=headers).is_success
    job_id = phone.queued_job(1)
    for key in (output_key, preview_key, instances_key):
        objects.put(key(phone.user_id, job_id, 0), b"result", "image/png")
    assert service.worker(job_id).processed(0)
    running = phone.queued_job(2)
    service.runpod.wait_for_run(running)
    service.wait_until(
        "SELECT id FROM dispatches WHERE job_id = :job AND state = 'submitted'", job=running
    )
    return phone


def listed(objects: ObjectStore, user_id: str) -> list[str]:
    kinds = ("inputs", "outputs", "previews", "masks")
    return [info.key for kind in kinds for info in objects.list(f"{kind}/{user_id}/")]


def rows_of(service: Service, user_id: str) -> Json:
    counted = {
        table: len(service.rows(f"SELECT * FROM {table} WHERE user_id = :user", user=user_id))
        for table in OWN
    }
    return counted | {"users": len(service.rows("SELECT * FROM users WHERE id = :u", u=user_id))}


def test_leaving_deletes_everything_and_says_so(start: StartService, objects: ObjectStore) -> None:
    service = start()
    other, phone = busy_phone(service, objects), busy_phone(service, objects, "device")
    kept = listed(objects, other.user_id), rows_of(service, other.user_id)
    assert len(listed(objects, phone.user_id)) == 6
    erased = phone.data("DELETE", "/me")
    assert (erased["user_id"], erased["deleted"], erased["pending"]) == (phone.user_id, True, False)
    assert erased["objects"] == 6
    assert erased["rows"]["jobs"] == 2
    assert erased["rows"]["items"] == 3
    assert listed(objects, phone.user_id) == []
    assert set(rows_of(service, phone.user_id).values()) == {0}
    assert (listed(objects, other.user_id), rows_of(service, other.user_id)) == kept
    assert phone.user_id not in str(service.rows("SELECT * FROM granted_devices"))


def test_who_left_is_nobody(start: StartService, objects: ObjectStore) -> None:
    service = start()
    phone = busy_phone(service, objects, "device")
    phone.data("DELETE", "/me")
    for method, path in [("GET", "/me"), ("DELETE", "/me"), ("GET", "/me/export")]:
        assert phone.call(method, path).json()["error"]["code"] == "TOKEN_INVALID"
    again = Phone(service.api).sign_up("device")
    assert again.user_id != phone.user_id
    assert again.credits() == 0, "the free credits are for once"


def test_work_that_nobody_wants_is_canceled(start: StartService, objects: ObjectStore) -> None:
    service = start()
    phone = busy_phone(service, objects)
    (row,) = service.rows("SELECT runpod_job_id FROM dispatches WHERE state = 'submitted'")
    phone.data("DELETE", "/me")
    assert service.runpod.canceled == [row["runpod_job_id"]]


def test_a_worker_s_news_of_an_erased_job_change_nothing(
    start: StartService, objects: ObjectStore
) -> None:
    service = start()
    phone = busy_phone(service, objects)
    (row,) = service.rows("SELECT job_id FROM dispatches WHERE state = 'submitted'")
    worker = service.worker(row["job_id"])
    phone.data("DELETE", "/me")
    response = worker.report(0)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")


def test_what_is_stored_late_is_swept_as_well(start: StartService, objects: ObjectStore) -> None:
    service = start(intervals=EAGER)
    phone = busy_phone(service, objects)
    phone.data("DELETE", "/me")
    # The first sweep sets its own next time when it ends.
    service.wait_until("SELECT id FROM erasures WHERE objects = 6 AND next_at > created_at")
    objects.put(f"outputs/{phone.user_id}/job_x/0_result.png", b"late", "image/png")
    service.change("UPDATE erasures SET next_at = 0")
    service.wait_until("SELECT id FROM erasures WHERE objects = 7")
    assert listed(objects, phone.user_id) == []
    service.change("UPDATE erasures SET next_at = 0, until = 0")
    service.wait_until("SELECT 1 WHERE NOT EXISTS (SELECT id FROM erasures)")


def test_a_store_that_is_down_delays_what_leaves(start: StartService) -> None:
    service = start(lister=DownLister())
    phone = service.phone()
    erased = phone.data("DELETE", "/me")
    assert (erased["deleted"], erased["objects"], erased["pending"]) == (True, 0, True)
    (row,) = service.rows("SELECT * FROM erasures")
    assert row["next_at"] < time.time() + 60


def test_leaving_while_jobs_are_made(served_service: Service) -> None:
    """No row of a user stays behind, whatever he does at the same moment."""
    from concurrent.futures import ThreadPoolExecutor

    for _ in range(5):
        phone = served_service.phone()

        def create(_: int, phone: Phone = phone) -> httpx.Response:
            return phone.call("POST", "/jobs", {"preset": "interior", "item_count": 1})

        with ThreadPoolExecutor(6) as pool:
            made = [pool.submit(create, n) for n in range(5)]
            assert phone.call("DELETE", "/me").is_success
            answers = [future.result().status_code for future in made]
        assert set(answers) <= {201, 401, 429}
        assert set(rows_of(served_service, phone.user_id).values()) == {0}


def test_everything_that_is_kept_can_be_had(start: StartService, objects: ObjectStore) -> None:
    service = start()
    phone = busy_phone(service, objects, "canary-device")
    response = phone.call("GET", "/me/export")
    export = response.json()["data"]
    assert export["profile"]["user_id"] == phone.user_id
    assert [rule["name"] for rule in export["rules"]] == ["r"]
    assert [len(entry["items"]) for entry in export["jobs"]] == [2, 1]
    assert sorted(row["kind"] for row in export["ledger"]) == ["grant", "reserve", "reserve"]
    assert export["profile"]["has_device"] is True
    assert "canary-device" not in response.text, "whoever has it has the account"


def _age_jobs(service: Service, days: float) -> None:
    service.change("UPDATE jobs SET ended_at = :at WHERE ended_at > 0", at=time.time() - days * DAY)


def test_photos_and_results_go_in_their_time(start: StartService, objects: ObjectStore) -> None:
    service = start(intervals=EAGER, INPUT_RETENTION_DAYS="2", RESULT_RETENTION_DAYS="5")
    phone = busy_phone(service, objects)
    _age_jobs(service, 1.9)
    time.sleep(0.3)
    assert len(listed(objects, phone.user_id)) == 6
    _age_jobs(service, 2.1)
    service.wait_until("SELECT id FROM jobs WHERE inputs_purged_at > 0")
    assert len(listed(objects, phone.user_id)) == 5, "a job that goes on keeps its photos"
    _age_jobs(service, 5.1)
    service.wait_until("SELECT id FROM jobs WHERE results_purged_at > 0")
    left = listed(objects, phone.user_id)
    assert len(left) == 2
    assert all(key.startswith("inputs/") for key in left)


def test_nothing_is_deleted_where_retention_is_off(
    start: StartService, objects: ObjectStore
) -> None:
    service = start(intervals=EAGER, INPUT_RETENTION_DAYS="0", RESULT_RETENTION_DAYS="0")
    phone = busy_phone(service, objects)
    _age_jobs(service, 1000)
    time.sleep(0.3)
    assert len(listed(objects, phone.user_id)) == 6


def test_a_store_that_is_down_keeps_retention_waiting(start: StartService) -> None:
    service = start(intervals=EAGER, lister=DownLister(), INPUT_RETENTION_DAYS="1")
    phone = service.phone()
    phone.cancel(phone.create(1)["job_id"])
    _age_jobs(service, 2)
    time.sleep(0.3)
    assert service.rows("SELECT inputs_purged_at AS at FROM jobs") == [{"at": None}]
