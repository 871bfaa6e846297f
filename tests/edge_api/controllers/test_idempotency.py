"""Idempotency-Key: the same request again, another one, one under way, one that died."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from edge_api.services.idempotency import LIFETIME
from edge_api.settings import Patience
from edge_api.storage.idempotency import forget_keys
from shared.objects import ObjectInfo
from tests.edge_api.conftest import StartService
from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

LOCK = Patience().key
JOB = {"preset": "interior", "item_count": 3}
SAVED = {"name": "r", "preset_id": "interior", **RULE}


def post(phone: Phone, path: str, body: object = None, key: str = "k1") -> httpx.Response:
    return phone.call("POST", path, body, headers={"Idempotency-Key": key})


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_job_that_is_asked_for_twice_is_made_once(phone: Phone) -> None:
    first, second = post(phone, "/jobs", JOB), post(phone, "/jobs", JOB)
    assert (first.status_code, second.status_code) == (201, 201)
    jobs = [answer.json()["data"] for answer in (first, second)]
    assert jobs[0]["job_id"] == jobs[1]["job_id"]
    assert jobs[0]["presigned_urls"] == jobs[1]["presigned_urls"]
    assert phone.credits() == 7
    assert post(phone, "/jobs", JOB, "k2").json()["data"]["job_id"] != jobs[0]["job_id"]


def test_without_a_key_everything_is_new(phone: Phone) -> None:
    first, second = (phone.data("POST", "/jobs", JOB) for _ in range(2))
    assert first["job_id"] != second["job_id"]


def test_another_request_with_the_key_is_refused(phone: Phone) -> None:
    made = post(phone, "/jobs", JOB).json()["data"]["job_id"]
    for path, body in [("/jobs", JOB | {"item_count": 4}), ("/rules", SAVED)]:
        assert code(post(phone, path, body)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert [job["job_id"] for job in phone.data("GET", "/jobs")] == [made]
    assert phone.data("GET", "/rules")["rules"] == []


def test_keys_are_the_user_s_own(service: Service) -> None:
    phones = [service.phone(), service.phone()]
    jobs = {post(phone, "/jobs", JOB).json()["data"]["job_id"] for phone in phones}
    assert len(jobs) == 2


def test_a_rule_is_saved_once(phone: Phone) -> None:
    answers = [post(phone, "/rules", SAVED) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["data"]["rule"]["id"] for answer in answers}) == 1
    assert phone.data("GET", "/me")["limits"]["rules"] == 1


def test_every_step_of_a_job_may_be_repeated(phone: Phone) -> None:
    job_id = phone.created_job(2)
    steps = [("confirm-upload", None, "k1"), ("execute", RULE, "k2"), ("cancel", None, "k3")]
    for step, body, key in steps:
        answers = [post(phone, f"/jobs/{job_id}/{step}", body, key) for _ in range(3)]
        assert all(answer.is_success for answer in answers), step
        assert len({str(answer.json()["data"]) for answer in answers}) == 1, step
    assert phone.credits() == 10


def test_a_refused_request_may_be_sent_again_with_its_key(phone: Phone) -> None:
    job = phone.create(2)
    path = f"/jobs/{job['job_id']}/confirm-upload"
    assert code(post(phone, path)) == (409, "INVALID_TRANSITION")
    phone.upload(job)
    assert post(phone, path).is_success


def test_a_request_that_does_not_fit_leaves_the_key_free(phone: Phone) -> None:
    assert code(post(phone, "/jobs", {"preset": "interior"})) == (400, "VALIDATION_ERROR")
    assert post(phone, "/jobs", JOB).is_success


@pytest.mark.parametrize("key", ["", " ", "two words", "k" * 256, '"'])
def test_a_key_that_is_none_is_refused(phone: Phone, key: str) -> None:
    response = post(phone, "/jobs", JOB, key)
    if key == '"':
        assert response.is_success, "one quotation mark is a visible character"
        return
    assert code(response) == (400, "VALIDATION_ERROR")
    assert "Idempotency-Key" in response.json()["error"]["message"]


def test_a_key_in_quotation_marks_is_the_same_key(phone: Phone) -> None:
    first, second = post(phone, "/jobs", JOB, "k9"), post(phone, "/jobs", JOB, '"k9"')
    assert first.json()["data"]["job_id"] == second.json()["data"]["job_id"]


class SlowLister:
    """A listing that waits until it is released, and then finds everything."""

    def __init__(self) -> None:
        self.asked, self.release = threading.Event(), threading.Event()

    def list(self, prefix: str) -> list[ObjectInfo]:
        self.asked.set()
        assert self.release.wait(30)
        return [ObjectInfo(f"{prefix}{idx}.jpg", 9, "e") for idx in range(3)]

    def ready(self) -> None:
        pass

    def delete(self, keys: Sequence[str]) -> None:
        pass


def test_a_request_under_way_is_not_begun_again(start: StartService) -> None:
    lister = SlowLister()
    phone = start(lister=lister).phone()
    path = f"/jobs/{phone.create(3)['job_id']}/confirm-upload"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, phone, path)
        assert lister.asked.wait(10)
        second = post(phone, path)
        lister.release.set()
        assert first.result().is_success
    assert code(second) == (409, "IDEMPOTENCY_KEY_IN_USE")
    assert post(phone, path).is_success


def test_the_key_of_a_process_that_died_is_taken_over(start: StartService) -> None:
    service = start()
    phone = service.phone()
    assert post(phone, "/jobs", JOB).is_success
    until = time.time() + LOCK
    dead = "UPDATE idempotency_keys SET result = NULL, locked_until = :until"
    service.change(dead, until=until)
    assert code(post(phone, "/jobs", JOB)) == (409, "IDEMPOTENCY_KEY_IN_USE")
    service.change(dead, until=until - LOCK - 1)
    assert code(post(phone, "/jobs", JOB | {"item_count": 1})) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert post(phone, "/jobs", JOB).is_success


def test_who_lost_its_key_has_no_effect(start: StartService) -> None:
    lister = SlowLister()
    service = start(lister=lister)
    phone = service.phone()
    job_id = phone.create(3)["job_id"]
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(post, phone, f"/jobs/{job_id}/confirm-upload")
        assert lister.asked.wait(10)
        service.change("UPDATE idempotency_keys SET locked_until = locked_until + 1")
        lister.release.set()
        assert code(slow.result()) == (409, "IDEMPOTENCY_KEY_IN_USE")
    assert phone.job(job_id)["status"] == "created"


def test_keys_are_forgotten_after_a_day(start: StartService) -> None:
    service = start()
    phone = service.phone()
    first = post(phone, "/jobs", JOB).json()["data"]["job_id"]
    with service.transaction() as connection:
        assert forget_keys(connection, time.time() - LIFETIME) == 0
        assert forget_keys(connection, time.time() + 1) == 1
    assert post(phone, "/jobs", JOB).json()["data"]["job_id"] != first


def test_twenty_at_once_make_one_job(served_service: Service) -> None:
    phone = served_service.phone()

    def create(_: int) -> httpx.Response:
        return post(phone, "/jobs", JOB)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(20)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert statuses[201] >= 1
    assert len(phone.data("GET", "/jobs")) == 1
    assert phone.credits() == 7
