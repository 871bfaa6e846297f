"""Creating a job: what it reserves, its limits, and what gives way to it."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

Json = dict[str, Any]


def create(phone: Phone, count: object, preset: object = "interior") -> httpx.Response:
    return phone.call("POST", "/jobs", {"preset": preset, "item_count": count})


def error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_job_has_one_upload_for_each_item_in_order(phone: Phone, count: int) -> None:
    response = create(phone, count)
    assert response.status_code == 201
    job = response.json()["data"]
    assert isinstance(job["job_id"], str)
    assert [type(target["idx"]) for target in job["presigned_urls"]] == [int] * count
    assert [target["idx"] for target in job["presigned_urls"]] == list(range(count))
    for target in job["presigned_urls"]:
        key = f"inputs/{phone.user_id}/{job['job_id']}/{target['idx']}.jpg"
        assert target["key"] == key
        assert f"/s3-images/{key}?" in target["url"]


def test_upload_urls_sign_the_host_alone_and_live_at_least_an_hour(phone: Phone) -> None:
    job = phone.create()
    expires = datetime.fromisoformat(job["expires_at"]).timestamp()
    assert 3600 <= expires - time.time() <= 7200
    for target in job["presigned_urls"]:
        query = httpx.URL(target["url"]).params
        assert query["X-Amz-SignedHeaders"] == "host"
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert signed.timestamp() + int(query["X-Amz-Expires"]) == expires


@pytest.mark.parametrize("preset", ["interior", "seller"])
def test_creating_takes_a_credit_for_each_item(service: Service, preset: str) -> None:
    phone = service.phone()
    phone.create(4, preset)
    assert phone.credits() == 6
    assert service.ledger(phone.user_id) == [("grant", 10), ("reserve", -4)]


def test_a_new_job_as_it_reads(phone: Phone) -> None:
    job_id = phone.create(3, "seller")["job_id"]
    job = phone.job(job_id)
    assert (job["job_id"], job["status"], job["preset"]) == (job_id, "created", "seller")
    assert (job["total_items"], job["done_items"], job["failed_items"]) == (3, 0, 0)
    assert job["items"] == [{"idx": idx, "status": "pending"} for idx in range(3)]
    assert job["download_urls"] == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "preset"),
        ({"preset": "interior"}, "item_count"),
        ({"item_count": 1}, "preset"),
        ({"preset": None, "item_count": 1}, "preset"),
        ({"preset": 5, "item_count": 1}, "preset"),
        ({"preset": "interior", "item_count": None}, "item_count"),
        ({"preset": "interior", "item_count": 0}, "item_count"),
        ({"preset": "interior", "item_count": -1}, "item_count"),
        ({"preset": "interior", "item_count": -(10**30)}, "item_count"),
        ({"preset": "interior", "item_count": 1.5}, "item_count"),
        ({"preset": "interior", "item_count": "many"}, "item_count"),
        ({"preset": "interior", "item_count": True}, "item_count"),
        ([], "body"),
    ],
)
def test_a_job_that_does_not_fit_reserves_nothing(phone: Phone, body: object, path: str) -> None:
    response = phone.call("POST", "/jobs", body)
    assert error(response) == (400, "VALIDATION_ERROR")
    assert [problem["path"] for problem in response.json()["error"]["details"]] == [path]
    assert phone.credits() == 10


@pytest.mark.parametrize("preset", ["", "garden", "Interior"])
def test_an_unknown_preset(phone: Phone, preset: str) -> None:
    response = create(phone, 1, preset)
    assert error(response) == (404, "INVALID_PRESET")
    assert response.json()["error"]["details"]["known"] == ["interior", "seller"]
    assert phone.credits() == 10


@pytest.mark.parametrize("count", [11, 200, 10**30])
def test_the_item_limit_of_the_free_plan(phone: Phone, count: int) -> None:
    response = create(phone, count)
    assert error(response) == (403, "ITEM_LIMIT")
    assert response.json()["error"]["details"] == {"limit": 10, "asked": count}
    assert phone.data("GET", "/jobs") == []


def test_the_item_limit_of_the_pro_plan(service: Service) -> None:
    phone = service.pro_phone()
    assert error(create(phone, 201)) == (403, "ITEM_LIMIT")
    job = phone.create(200)
    assert len({target["url"] for target in job["presigned_urls"]}) == 200
    assert phone.credits() == 0


def test_without_enough_credits_nothing_happens(service: Service) -> None:
    phone = service.phone()
    phone.cancel(phone.create(8)["job_id"])
    running = phone.queued_job(8)
    assert service.worker(running).processed(0)
    phone.cancel(running)
    assert phone.credits() == 9
    response = create(phone, 10)
    assert error(response) == (402, "CREDITS_EXHAUSTED")
    assert response.json()["error"]["details"] == {"credits": 9, "needed": 10}
    assert phone.credits() == 9
    assert len(phone.data("GET", "/jobs")) == 2
    assert phone.create(9)["job_id"]
    assert phone.credits() == 0


@pytest.mark.parametrize("state", ["uploaded", "queued", "running"])
def test_at_the_limit_the_open_jobs_are_named(service: Service, state: str) -> None:
    phone = service.phone()
    job_id = phone.uploaded_job()
    if state != "uploaded":
        phone.execute(job_id)
    if state == "running":
        assert service.worker(job_id).processed(0)
    response = create(phone, 1)
    assert error(response) == (429, "CONCURRENCY_LIMIT")
    assert response.json()["error"]["details"] == {"limit": 1, "active_jobs": [job_id]}
    assert int(response.headers["retry-after"]) > 0
    assert phone.credits() == 8
    assert phone.job(job_id)["status"] == state


def test_a_job_that_was_never_confirmed_gives_way(service: Service) -> None:
    phone = service.phone()
    abandoned = phone.create(4)["job_id"]
    fresh = phone.create(10)["job_id"]
    assert phone.job(abandoned)["status"] == "canceled"
    assert phone.job(fresh)["status"] == "created"
    assert phone.credits() == 0
    assert service.ledger(phone.user_id) == [
        ("grant", 10),
        ("reserve", -4),
        ("refund", 4),
        ("reserve", -10),
    ]


def test_the_oldest_unconfirmed_job_gives_way_and_no_other(service: Service) -> None:
    phone = service.pro_phone()
    kept = phone.uploaded_job(1)
    oldest, newest = phone.create(2)["job_id"], phone.create(3)["job_id"]
    phone.create(4)
    statuses = [phone.job(job)["status"] for job in (kept, oldest, newest)]
    assert statuses == ["uploaded", "canceled", "created"]
    assert phone.credits() == 200 - 1 - 3 - 4


def test_nothing_gives_way_where_the_credits_do_not_suffice_anyway(service: Service) -> None:
    phone = service.phone()
    done = phone.queued_job(5)
    worker = service.worker(done)
    for idx in range(5):
        assert worker.processed(idx)
    waiting = phone.create(3)["job_id"]
    before = service.ledger(phone.user_id)
    assert error(create(phone, 6)) == (402, "CREDITS_EXHAUSTED")
    assert phone.job(waiting)["status"] == "created"
    assert phone.credits() == 2
    assert service.ledger(phone.user_id) == before
    phone.create(5)
    assert phone.job(waiting)["status"] == "canceled"
    assert phone.credits() == 0


def test_three_open_jobs_on_the_pro_plan(service: Service) -> None:
    phone = service.pro_phone()
    jobs = [phone.uploaded_job(1) for _ in range(3)]
    response = create(phone, 1)
    assert error(response) == (429, "CONCURRENCY_LIMIT")
    assert response.json()["error"]["details"] == {"limit": 3, "active_jobs": jobs}
    phone.cancel(jobs[0])
    assert create(phone, 1).status_code == 201


def test_an_account_that_is_gone_creates_nothing(service: Service) -> None:
    gone = Phone(service.api, service.token(sub="user_gone"))
    assert error(create(gone, 1)) == (401, "TOKEN_INVALID")
