"""Calls that come at the same time, over a real server: money and states stay exact."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import pytest

from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

Json = dict[str, Any]
T = TypeVar("T")


@pytest.fixture
def service(served_service: Service) -> Generator[Service]:
    since = time.time()
    yield served_service
    served_service.assert_balanced(since)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Every call in a thread of its own, all let go at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def answers(responses: Sequence[httpx.Response]) -> Counter[str]:
    return Counter(
        "ok" if response.is_success else response.json()["error"]["code"] for response in responses
    )


def test_fifty_creates_never_overdraw(service: Service) -> None:
    phone = service.pro_phone()
    body = {"preset": "interior", "item_count": 60}
    responses = at_once([lambda: phone.call("POST", "/jobs", body)] * 50)
    # Three fit at once; of the others some make an older one give way, some find no credits.
    counted = answers(responses)
    assert set(counted) <= {"ok", "CREDITS_EXHAUSTED"}
    me = phone.data("GET", "/me")
    assert me["credits"] == 200 - 60 * me["limits"]["open_jobs"]
    assert me["limits"]["open_jobs"] == 3
    assert counted["ok"] == len(_all_jobs(phone))


def test_fifty_creates_of_jobs_that_do_not_give_way(service: Service) -> None:
    phone = service.pro_phone()
    kept = [phone.uploaded_job(1) for _ in range(2)]
    body = {"preset": "interior", "item_count": 1}
    counted = answers(at_once([lambda: phone.call("POST", "/jobs", body)] * 50))
    assert counted == {"ok": 50}
    jobs = _all_jobs(phone)
    assert len(jobs) == 52
    assert Counter(job["status"] for job in jobs) == {"uploaded": 2, "created": 1, "canceled": 49}
    assert {job["job_id"] for job in jobs if job["status"] == "uploaded"} == set(kept)
    assert phone.credits() == 197


def test_fifty_users_create_at_once(service: Service) -> None:
    phones = [service.phone() for _ in range(50)]
    jobs = at_once([lambda p=phone: p.create(10) for phone in phones])
    assert len({job["job_id"] for job in jobs}) == 50
    assert [phone.credits() for phone in phones] == [0] * 50


def _all_jobs(phone: Phone) -> list[Json]:
    return phone.data("GET", "/jobs?limit=100")


def test_one_device_signing_up_twenty_times_is_one_account(service: Service) -> None:
    body = {"device_hash": "the-same-device"}
    call = Phone(service.api).data
    accounts = at_once([lambda: call("POST", "/auth/anon", body)] * 20)
    assert len({account["user_id"] for account in accounts}) == 1
    assert sum(account["is_new"] for account in accounts) == 1
    assert service.ledger(accounts[0]["user_id"]) == [("grant", 10)]


def test_executing_twenty_times_is_one_dispatch(service: Service) -> None:
    phone = service.phone()
    job_id = phone.uploaded_job(2)
    responses = at_once([lambda: phone.call("POST", f"/jobs/{job_id}/execute", RULE)] * 20)
    assert answers(responses) == {"ok": 20}
    service.runpod.wait_for_run(job_id)
    assert len(service.runpod.runs_of(job_id)) == 1


def test_of_two_different_executions_one_wins(service: Service) -> None:
    phone = service.phone()
    job_id = phone.uploaded_job(1)
    bodies = [RULE | {"protect": [concept]} for concept in ("Door", "Window")] * 10

    def execute(body: Json) -> Callable[[], httpx.Response]:
        return lambda: phone.call("POST", f"/jobs/{job_id}/execute", body)

    responses = at_once([execute(body) for body in bodies])
    assert answers(responses) == {"ok": 10, "INVALID_TRANSITION": 10}
    (won,) = {
        str(body["protect"]) for body, r in zip(bodies, responses, strict=True) if r.is_success
    }
    assert str(phone.job(job_id)["protect"]) == won


def test_canceling_twenty_times_refunds_once(service: Service) -> None:
    phone = service.phone()
    job_id = phone.queued_job(4)
    responses = at_once([lambda: phone.call("POST", f"/jobs/{job_id}/cancel")] * 20)
    assert [response.json()["data"]["refunded"] for response in responses] == [4] * 20
    assert phone.credits() == 10


def test_every_callback_ten_times_at_once(service: Service) -> None:
    phone = service.phone()
    job_id = phone.queued_job(4)
    worker = service.worker(job_id)
    statuses = ["done", "failed", "done", "failed"]

    def report(idx: int) -> Callable[[], bool]:
        return lambda: worker.processed(idx, statuses[idx])

    processed = at_once([report(idx) for idx in range(4)] * 10)
    assert sum(processed) == 4
    job = phone.job(job_id)
    assert (job["status"], job["done_items"], job["failed_items"]) == ("done", 2, 2)
    assert service.ledger(phone.user_id) == [("grant", 10), ("reserve", -4), ("refund", 2)]


@pytest.mark.parametrize("attempt", range(5))
def test_a_cancel_against_the_last_callbacks(service: Service, attempt: int) -> None:
    phone = service.phone()
    job_id = phone.queued_job(6)
    worker = service.worker(job_id)

    def report(idx: int) -> Callable[[], httpx.Response]:
        return lambda: worker.report(idx, "failed" if idx % 2 else "done")

    calls = [report(idx) for idx in range(6)]
    calls.insert(attempt, lambda: phone.call("POST", f"/jobs/{job_id}/cancel"))
    at_once(calls)
    job = phone.job(job_id)
    assert job["status"] in {"done", "canceled"}
    done = [item["status"] for item in job["items"]].count("done")
    assert job["refunded"] == 6 - done
    assert phone.credits() == 10 - done


def test_rule_slots_under_twenty_saves(service: Service) -> None:
    phone = service.phone()
    body = {"name": "r", "preset_id": "interior", **RULE}
    counted = answers(at_once([lambda: phone.call("POST", "/rules", body)] * 20))
    assert counted == {"ok": 2, "RULE_SLOT_FULL": 18}
    rules = phone.data("GET", "/rules")["rules"]
    gone = at_once([lambda: phone.call("DELETE", f"/rules/{rules[0]['id']}")] * 10)
    assert answers(gone) == {"ok": 1, "RULE_NOT_FOUND": 9}
    assert phone.data("GET", "/me")["limits"]["rules"] == 1


def test_changes_of_one_rule_do_not_undo_each_other(service: Service) -> None:
    phone = service.phone()
    body = {"name": "0", "preset_id": "interior", **RULE}
    rule_id = phone.data("POST", "/rules", body)["rule"]["id"]
    changes: list[Json] = [
        {"name": "new"},
        {"protect": ["Door"]},
        {"concepts": {"Floor": {"action": "recolor", "value": "sage"}}},
    ]

    def change(body: Json) -> Callable[[], httpx.Response]:
        return lambda: phone.call("PUT", f"/rules/{rule_id}", body)

    for _ in range(10):
        phone.data("PUT", f"/rules/{rule_id}", {"name": "0", "protect": [], **RULE})
        assert answers(at_once([change(body) for body in changes])) == {"ok": 3}
        rule = phone.data("GET", f"/rules/{rule_id}")["rule"]
        assert {field: rule[field] for change in changes for field in change} == {
            "name": "new",
            "protect": ["Door"],
            "concepts": {"Floor": {"action": "recolor", "value": "sage"}},
        }
