"""Uploading to the presigned URLs, and confirming that every photo is there."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from edge_api.services import jobs
from infra.local.store import ServedStore
from shared.messages import MAX_INPUT_BYTES
from shared.objects import ObjectChanged, ObjectInfo, ObjectStore
from tests.edge_api.conftest import Launch, MakeDatabase, StartService
from tests.edge_api.object_lister import HangingLister
from tests.edge_api.phone import PHOTO, Phone, put_object
from tests.edge_api.service import Service

Json = dict[str, Any]


def confirm(phone: Phone, job_id: str, body: object = None) -> httpx.Response:
    return phone.call("POST", f"/jobs/{job_id}/confirm-upload", body)


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream"])
def test_photos_go_up_with_any_type(phone: Phone, objects: ObjectStore, content_type: str) -> None:
    job = phone.create(2)
    phone.upload(job, content_type)
    for target in job["presigned_urls"]:
        assert objects.get(target["key"], max_bytes=1000) == PHOTO
    response = confirm(phone, job["job_id"])
    assert response.status_code == 200
    data = response.json()["data"]
    assert data["confirmed"] is True
    assert (data["job_id"], data["status"]) == (job["job_id"], "uploaded")
    assert phone.job(job["job_id"])["status"] == "uploaded"


def test_ten_uploads_at_once(phone: Phone) -> None:
    job = phone.create(10)
    threads = [
        threading.Thread(target=put_object, args=(target["url"], PHOTO, "image/jpeg"))
        for target in job["presigned_urls"]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert confirm(phone, job["job_id"]).status_code == 200


def test_an_upload_url_opens_nothing_else(phone: Phone, store: ServedStore) -> None:
    target = phone.create(2)["presigned_urls"][0]
    other_key = target["url"].replace("/0.jpg?", "/1.jpg?")
    for method, url in [("PUT", other_key), ("GET", target["url"]), ("DELETE", target["url"])]:
        response = httpx.request(method, url, content=PHOTO, trust_env=False)
        assert response.status_code == 403, f"{method} {url}"


@pytest.mark.parametrize(
    ("sent", "missing"), [([], [0, 1, 2]), ([1], [0, 2]), ([0, 1], [2])], ids=str
)
def test_what_is_missing_is_named(phone: Phone, sent: list[int], missing: list[int]) -> None:
    job = phone.create(3)
    for idx in sent:
        put_object(job["presigned_urls"][idx]["url"], PHOTO, "image/jpeg")
    response = confirm(phone, job["job_id"])
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (409, "INVALID_TRANSITION")
    details = error["details"]
    assert (details["missing"], details["too_large"]) == (missing, [])
    assert [target["idx"] for target in details["presigned_urls"]] == missing
    assert phone.job(job["job_id"])["status"] == "created"
    phone.upload(details)
    assert confirm(phone, job["job_id"]).status_code == 200


def test_a_photo_without_bytes_is_missing(phone: Phone) -> None:
    job = phone.create(2)
    phone.upload(job)
    put_object(job["presigned_urls"][1]["url"], b"", "image/jpeg")
    response = confirm(phone, job["job_id"])
    assert response.json()["error"]["details"]["missing"] == [1]


class FullLister:
    """A bucket in which every job's first photo is too large and the second just fits."""

    def list(self, prefix: str) -> list[ObjectInfo]:
        sizes = (MAX_INPUT_BYTES + 1, MAX_INPUT_BYTES)
        return [ObjectInfo(f"{prefix}{idx}.jpg", size, "e") for idx, size in enumerate(sizes)]

    def ready(self) -> None:
        pass

    def delete(self, keys: Sequence[str]) -> None:
        pass


def test_a_photo_that_no_worker_would_take_is_named(
    launch: Launch, make_database: MakeDatabase
) -> None:
    with launch(make_database("sqlite"), lister=FullLister()) as service:
        phone = service.phone()
        job = phone.create(2)
        error = confirm(phone, job["job_id"]).json()["error"]
        assert error["code"] == "INVALID_TRANSITION"
        assert (error["details"]["missing"], error["details"]["too_large"]) == ([], [0])
        assert [target["idx"] for target in error["details"]["presigned_urls"]] == [0]
        assert "40 MB" in error["message"]


def test_a_photo_is_remembered_as_it_was(service: Service, objects: ObjectStore) -> None:
    phone = service.phone()
    job = phone.create(2)
    phone.upload(job)
    keys = [target["key"] for target in job["presigned_urls"]]
    etags = [info.etag for info in objects.list(keys[0].removesuffix("0.jpg"))]
    assert confirm(phone, job["job_id"]).status_code == 200
    put_object(job["presigned_urls"][1]["url"], PHOTO + b"swapped", "image/jpeg")
    phone.execute(job["job_id"])
    items = service.runpod.wait_for_run(job["job_id"])["items"]
    assert [item["input_etag"] for item in items] == etags
    assert objects.get(keys[0], max_bytes=99, etag=etags[0]) == PHOTO
    with pytest.raises(ObjectChanged):
        objects.get(keys[1], max_bytes=99, etag=etags[1])


def test_another_job_s_photos_do_not_count(service: Service, objects: ObjectStore) -> None:
    phone = service.phone()
    job = phone.create(1)
    base = job["presigned_urls"][0]["key"].removesuffix("0.jpg")
    for key in (
        f"{base.removesuffix('/')}x/0.jpg",
        f"{base}00.jpg",
        f"{base}0.png",
        f"{base}1.jpg",
    ):
        objects.put(key, PHOTO, "image/jpeg")
    response = confirm(phone, job["job_id"])
    assert response.json()["error"]["details"]["missing"] == [0]


def test_confirming_again_answers_as_the_first_did(phone: Phone) -> None:
    job_id = phone.created_job()
    first = confirm(phone, job_id, {"uploaded": [0, 1]})
    assert first.status_code == 200
    assert confirm(phone, job_id).json()["data"] == first.json()["data"]


def test_confirming_again_does_not_look_for_photos_that_are_gone(
    phone: Phone, objects: ObjectStore
) -> None:
    job = phone.create(1)
    phone.upload(job)
    assert confirm(phone, job["job_id"]).status_code == 200
    objects.delete([job["presigned_urls"][0]["key"]])
    assert confirm(phone, job["job_id"]).status_code == 200


def test_a_bucket_that_hangs_is_a_503_before_the_app_gives_up(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jobs.LISTING_TIMEOUT < 10
    monkeypatch.setattr(jobs, "LISTING_TIMEOUT", 0.1)
    lister = HangingLister()
    service = start(lister=lister)
    phone = service.phone()
    job_id = phone.create()["job_id"]
    try:
        response = confirm(phone, job_id)
    finally:
        lister.release.set()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert phone.job(job_id)["status"] == "created"


def test_others_are_answered_while_a_bucket_hangs(start: StartService) -> None:
    lister = HangingLister()
    service = start(lister=lister)
    waiting, other = service.phone(), service.phone()
    job_id = waiting.create()["job_id"]
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(confirm, waiting, job_id)
        try:
            assert lister.asked.wait(5)
            assert other.credits() == 10
            assert other.create(1)["job_id"]
            assert not pending.done()
        finally:
            lister.release.set()
        assert pending.result().status_code == 409
