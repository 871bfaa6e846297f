"""Polling a job, its items and links, and the list of jobs."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from edge_api.domain.jobs import JobStatus
from edge_api.services import links
from edge_api.services.settlement import record_result
from edge_api.storage.jobs import advance_job
from shared.messages import ItemResult, ItemStatus
from shared.objects import ObjectStore
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

Json = dict[str, Any]


def test_a_job_in_the_middle_of_its_work(service: Service) -> None:
    phone = service.phone()
    job_id = phone.queued_job(3)
    worker = service.worker(job_id)
    assert worker.processed(2)
    assert worker.processed(0, "failed")
    job = phone.job(job_id)
    assert job["status"] == "running"
    assert (job["total_items"], job["done_items"], job["failed_items"]) == (3, 1, 1)
    assert [type(job[f]) for f in ("total_items", "done_items", "failed_items")] == [int] * 3
    assert job["items"] == [
        {
            "idx": 0,
            "status": "failed",
            "error": "This file is not a photo.",
            "error_code": "UNSUPPORTED_IMAGE",
        },
        {"idx": 1, "status": "pending"},
        {"idx": 2, "status": "done"},
    ]
    (download,) = job["download_urls"]
    assert set(download) == {"idx", "output_url", "preview_url"}
    assert download["idx"] == 2


def test_downloads_work_without_any_header(service: Service, objects: ObjectStore) -> None:
    phone = service.phone()
    job_id = phone.queued_job(1)
    worker = service.worker(job_id)
    (item,) = worker.message["items"]
    objects.put(item["output_key"], b"a result", "image/png")
    objects.put(item["preview_key"], b"a preview", "image/jpeg")
    assert worker.processed(0)
    (download,) = phone.job(job_id)["download_urls"]
    assert httpx.get(download["output_url"], trust_env=False).content == b"a result"
    assert httpx.get(download["preview_url"], trust_env=False).content == b"a preview"
    changed = download["output_url"].replace("_result.png", "_result.png2")
    assert httpx.get(changed, trust_env=False).status_code == 403


HOUR = 1_800_000_000.0
"""The start of an hour, in Unix seconds."""


def test_urls_stay_the_same_for_an_hour(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = service.phone()
    job_id = phone.queued_job(2)
    worker = service.worker(job_id)
    moment = [HOUR + 1]
    monkeypatch.setattr(links, "time", SimpleNamespace(time=lambda: moment[0]))
    assert worker.processed(0)
    (first,) = phone.job(job_id)["download_urls"]
    assert worker.processed(1)
    moment[0] = HOUR + 3599
    late = phone.job(job_id)["download_urls"]
    assert late[0] == first
    assert [entry["idx"] for entry in late] == [0, 1]
    moment[0] = HOUR + 3601
    assert phone.job(job_id)["download_urls"][0] != first
    query = httpx.URL(late[0]["output_url"]).params
    assert query["X-Amz-Date"] == datetime.fromtimestamp(HOUR, UTC).strftime("%Y%m%dT%H%M%SZ")
    assert int(query["X-Amz-Expires"]) == 7200


def test_done_items_of_a_canceled_job_stay_downloadable(service: Service) -> None:
    phone = service.phone()
    job_id = phone.queued_job(3)
    assert service.worker(job_id).processed(1)
    phone.cancel(job_id)
    job = phone.job(job_id)
    assert job["status"] == "canceled"
    assert [item["status"] for item in job["items"]] == ["pending", "done", "pending"]
    assert [entry["idx"] for entry in job["download_urls"]] == [1]


REPORT = {
    "engine": "classical",
    "width": 4000,
    "height": 3000,
    "instances": {"Wall": 1, "door mat": 0},
    "masks": ["Wall", "door mat"],
    "protected_pixels": 120,
    "protected_pixels_changed": 0,
    "max_abs_diff_in_protect": 0,
}


def test_an_item_in_full(service: Service, objects: ObjectStore) -> None:
    phone = service.phone()
    job_id = phone.queued_job(2)
    worker = service.worker(job_id)
    warning = {"code": "NOT_FOUND", "message": "Grout was not found.", "concept": "Grout"}
    timings = {"download": 0.1, "total": 2}
    assert worker.report(1, report=REPORT, warnings=[warning], timings=timings).is_success
    data = phone.data("GET", f"/jobs/{job_id}/items/1")
    assert data["item"] == {
        "idx": 1,
        "status": "done",
        "warnings": [warning],
        "timings": {"download": 0.1, "total": 2.0},
        "report": REPORT,
    }
    assert set(data["mask_urls"]) == {"Wall", "door mat"}
    objects.put(f"masks/{phone.user_id}/{job_id}/1_door_mat.png", b"a mask", "image/png")
    objects.put(f"masks/{phone.user_id}/{job_id}/1_instances.json", b"{}", "application/json")
    assert httpx.get(data["mask_urls"]["door mat"], trust_env=False).content == b"a mask"
    assert httpx.get(data["instances_url"], trust_env=False).content == b"{}"
    assert {"output_url", "preview_url"} < set(data)


def test_an_item_that_is_not_done_has_no_links(service: Service) -> None:
    phone = service.phone()
    job_id = phone.queued_job(2)
    pending: Json = {"item": {"idx": 0, "status": "pending", "warnings": []}, "mask_urls": {}}
    assert phone.data("GET", f"/jobs/{job_id}/items/0") == pending
    assert service.worker(job_id).processed(0, "failed")
    failed = phone.data("GET", f"/jobs/{job_id}/items/0")
    assert failed["item"]["error"] == "This file is not a photo."
    assert failed["item"]["error_code"] == "UNSUPPORTED_IMAGE"
    assert set(failed) == {"item", "mask_urls"}


@pytest.mark.parametrize("idx", ["2", "-1", "99999999999999999999999", "1.0", "one"])
def test_an_item_that_is_not_there(phone: Phone, idx: str) -> None:
    job_id = phone.create(2)["job_id"]
    response = phone.call("GET", f"/jobs/{job_id}/items/{idx}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("job_id", ["job_nope", "%00", "x" * 3000, "%ff", "..", "' OR 1=1 --"])
@pytest.mark.parametrize(
    ("method", "call"),
    [("GET", ""), ("POST", "/confirm-upload"), ("POST", "/cancel"), ("GET", "/items/0")],
)
def test_a_job_that_is_not_there(phone: Phone, method: str, call: str, job_id: str) -> None:
    response = phone.call(method, f"/jobs/{job_id}{call}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] in {"JOB_NOT_FOUND", "NOT_FOUND"}


def test_the_list_is_bare_and_newest_first(service: Service) -> None:
    phone = service.phone()
    first = phone.queued_job(2)
    worker = service.worker(first)
    assert worker.processed(0)
    assert worker.processed(1, "failed")
    second = phone.create(3, "seller")["job_id"]
    listed = phone.data("GET", "/jobs")
    created = [entry.pop("created_at") for entry in listed]
    assert created == sorted(created, reverse=True)
    assert listed == [
        {
            "job_id": second,
            "status": "created",
            "preset": "seller",
            "progress": {"done": 0, "failed": 0, "total": 3},
        },
        {
            "job_id": first,
            "status": "done",
            "preset": "interior",
            "progress": {"done": 1, "failed": 1, "total": 2},
        },
    ]


def test_a_new_user_has_no_jobs(phone: Phone) -> None:
    response = phone.call("GET", "/jobs")
    assert response.json()["data"] == []
    assert "next_cursor" not in response.json()["meta"]


def _history(phone: Phone, count: int) -> list[str]:
    """Jobs that gave way one after another; the newest first."""
    return [phone.create(1)["job_id"] for _ in range(count)][::-1]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 100])
def test_pages_hold_every_job_once(phone: Phone, limit: int) -> None:
    jobs = _history(phone, 5)
    seen: list[str] = []
    cursor = ""
    pages = 0
    while pages == 0 or cursor:
        query = f"?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        body = phone.call("GET", f"/jobs{query}").json()
        page = [entry["job_id"] for entry in body["data"]]
        assert 1 <= len(page) <= limit
        seen += page
        cursor = body["meta"].get("next_cursor", "")
        pages += 1
        assert pages <= 5, "the pages do not come to an end"
    assert seen == jobs
    assert pages == -(-5 // limit)


def test_a_job_made_while_paging_does_not_move_the_pages(phone: Phone) -> None:
    jobs = _history(phone, 4)
    first = phone.call("GET", "/jobs?limit=2").json()
    phone.create(1)
    cursor = first["meta"]["next_cursor"]
    second = phone.data("GET", f"/jobs?limit=2&cursor={cursor}")
    assert [entry["job_id"] for entry in (*first["data"], *second)] == jobs


def test_twenty_jobs_stand_on_a_page_unless_asked(service: Service) -> None:
    phone = service.phone()
    for _ in range(21):
        phone.cancel(phone.create(1)["job_id"])
    body = phone.call("GET", "/jobs").json()
    assert len(body["data"]) == 20
    assert body["meta"]["next_cursor"] == body["data"][-1]["job_id"]


def test_another_user_s_cursor_shows_only_one_s_own_jobs(service: Service) -> None:
    phone, other = service.phone(), service.phone()
    mine = phone.create(1)["job_id"]
    theirs = other.create(1)["job_id"]
    listed = phone.data("GET", f"/jobs?cursor={theirs}")
    assert [entry["job_id"] for entry in listed] == [mine]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=101", "limit"),
        ("limit=abc", "limit"),
        ("limit=1.5", "limit"),
        (f"limit={10**30}", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=job_1", "cursor"),
        ("cursor=%27%20OR%201=1", "cursor"),
    ],
)
def test_a_parameter_that_does_not_fit_is_a_400(phone: Phone, query: str, path: str) -> None:
    response = phone.call("GET", f"/jobs?{query}&signature=canary")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert [problem["path"] for problem in error["details"]] == [path]
    assert "canary" not in response.text


def test_two_hundred_done_items(service: Service) -> None:
    phone = service.pro_phone()
    job_id = phone.create(200)["job_id"]
    with service.transaction() as connection:
        advance_job(connection, job_id, JobStatus.UPLOADED)
        advance_job(connection, job_id, JobStatus.QUEUED)
        for idx in range(200):
            result = ItemResult(idx, ItemStatus.DONE, "key", "dispatch", 1, "rp")
            assert record_result(connection, job_id, result, time.time())
    job = phone.job(job_id)
    assert (job["status"], job["done_items"]) == ("done", 200)
    assert [entry["idx"] for entry in job["download_urls"]] == list(range(200))
    assert len({entry["output_url"] for entry in job["download_urls"]}) == 200
    assert len({entry["preview_url"] for entry in job["download_urls"]}) == 200
