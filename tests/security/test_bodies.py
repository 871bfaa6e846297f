"""Bodies made to cost, to confuse or to give oneself something: each a 4xx, and nothing happens."""

import gzip
import json
import time
from typing import Any

import httpx
import pytest

from edge_api.asgi import MAX_BODY
from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

JOB: Json = {"preset": "interior", "item_count": 1}
SAVED: Json = {"name": "n", "preset_id": "interior", **RULE}


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_the_limit_is_a_quarter_of_a_megabyte_to_the_byte(phone: Phone) -> None:
    assert MAX_BODY == 256 * 1024
    head = b'{"name": "n", "preset_id": "interior", "more": "'
    fits = head + b"x" * (MAX_BODY - len(head) - 2) + b'"}'
    assert code(phone.call("POST", "/rules", content=fits)) == (400, "VALIDATION_ERROR")
    over = fits + b" "
    assert code(phone.call("POST", "/rules", content=over)) == (413, "PAYLOAD_TOO_LARGE")


BOMB = gzip.compress(b'{"device_hash": "' + b"x" * 20_000_000 + b'"}')


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_compressed_body_is_not_unpacked(phone: Phone, coding: str) -> None:
    assert len(BOMB) < 64 * 1024
    response = phone.call("POST", "/auth/anon", content=BOMB, headers={"Content-Encoding": coding})
    assert code(response) == (400, "VALIDATION_ERROR")


NESTED = {
    "lists": b'{"protect": ' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "an unknown field": b'{"more": ' + b'[{"a":' * 30_000 + b"1" + b"}]" * 30_000 + b"}",
    "never closed": b"[" * 200_000,
    "a key in a key": b'{"concepts": ' * 15_000 + b"{}" + b"}" * 15_000,
}


@pytest.mark.parametrize("shape", NESTED)
@pytest.mark.parametrize("path", ["/auth/anon", "/rules", "/jobs"])
def test_deep_nesting_is_a_400(phone: Phone, path: str, shape: str) -> None:
    assert code(phone.call("POST", path, content=NESTED[shape])) == (400, "VALIDATION_ERROR")


COSTLY = {
    "a number of a quarter of a million digits": b'{"preset": "interior", "item_count": '
    + b"9" * 250_000
    + b"}",
    "a fraction of as many": b'{"preset": "interior", "item_count": 1.' + b"1" * 250_000 + b"}",
    "an exponent": b'{"preset": "interior", "item_count": 1e999999999}',
    "the same key ten thousand times": b"{"
    + b",".join(b'"preset": "interior"' for _ in range(10_000))
    + b"}",
    "a preset of a quarter of a megabyte": json.dumps({"preset": "x" * 250_000}).encode(),
}


@pytest.mark.parametrize("what", COSTLY)
def test_what_would_take_long_to_read_is_refused_soon(phone: Phone, what: str) -> None:
    begun = time.perf_counter()
    response = phone.call("POST", "/jobs", content=COSTLY[what])
    assert response.status_code == 400
    assert time.perf_counter() - begun < 2
    assert len(response.content) < 2000


@pytest.mark.parametrize("count", [2**31, 2**63, 2**64, 10**30, -1, 0, -(2**63)])
def test_a_number_that_no_column_holds_costs_nothing(phone: Phone, count: int) -> None:
    response = phone.call("POST", "/jobs", {"preset": "interior", "item_count": count})
    assert response.status_code in {400, 403}
    assert phone.credits() == 10


@pytest.mark.parametrize("idx", ["9" * 400, "-1", "1e3", "0x0", "٣", "2147483648"])
def test_an_item_number_that_no_column_holds_is_not_found(phone: Phone, idx: str) -> None:
    job_id = phone.create(1)["job_id"]
    assert phone.call("GET", f"/jobs/{job_id}/items/{idx}").status_code == 404


def test_thousands_of_concepts_are_refused_at_once(phone: Phone) -> None:
    """Each name is compared with the known ones; so many are not even begun with."""
    many = {f"wall number {n}": {"action": "recolor", "value": "oakk"} for n in range(3000)}
    begun = time.perf_counter()
    response = phone.call("POST", "/rules", {**SAVED, "concepts": many})
    assert code(response) == (400, "VALIDATION_ERROR")
    assert time.perf_counter() - begun < 2
    assert len(response.content) < 100_000


GIFTS: Json = {
    "id": "job_mine", "job_id": "job_mine", "user_id": "user_other", "sub": "user_other",
    "plan": "pro", "credits": 1_000_000, "balance": 1_000_000, "free": True, "role": "admin",
    "is_admin": True, "rule_slots": 99, "concurrent_jobs": 99, "open_jobs": -5, "limits": {},
    "status": "done", "done_items": 1, "failed_items": 0, "total_items": 200, "refunded": 5,
    "created_at": 0, "confirmed": True, "queued": True, "attempt": 9, "dispatch_id": "d",
    "callback_url": "https://evil.test/", "input_key": "inputs/other/job/0.jpg",
    "output_key": "outputs/other/job/0_result.png", "items": [{"idx": 0, "status": "done"}],
    "presigned_urls": [], "download_urls": [], "expires_at": "2999-01-01T00:00:00.000Z",
    "__class__": "x", "__proto__": {"plan": "pro"}, "constructor": {},
}  # fmt: skip
"""Everything that a row or an answer has and a caller may not choose."""


def test_fields_of_rows_in_a_body_give_nothing(service: Service) -> None:
    phone = Phone(service.api)
    account = phone.data("POST", "/auth/anon", GIFTS)
    phone.token, phone.user_id = account["token"], account["user_id"]
    assert (account["plan"], account["is_new"]) == ("free", True)
    assert phone.user_id != "user_other"
    rule = phone.data("POST", "/rules", {**GIFTS, **SAVED})["rule"]
    changed = phone.data("PUT", f"/rules/{rule['id']}", {**GIFTS, "name": "new"})["rule"]
    assert (changed["id"], changed["created_at"]) == (rule["id"], rule["created_at"])
    job = phone.data("POST", "/jobs", {**GIFTS, **JOB})
    phone.upload(job)
    phone.data("POST", f"/jobs/{job['job_id']}/confirm-upload", GIFTS)
    phone.data("POST", f"/jobs/{job['job_id']}/execute", {**GIFTS, **RULE})
    message = service.worker(job["job_id"]).message
    me = phone.data("GET", "/me")
    assert (me["plan"], me["credits"], me["concurrent_jobs"]) == ("free", 9, 1)
    assert service.ledger(phone.user_id) == [("grant", 10), ("reserve", -1)]
    assert message["callback_url"] == f"https://api.test/jobs/{job['job_id']}/callback"
    assert (message["user_id"], len(message["items"])) == (phone.user_id, 1)
    assert phone.data("POST", f"/jobs/{job['job_id']}/cancel", GIFTS)["refunded"] == 1


def test_fields_of_rows_in_a_query_give_nothing(service: Service, phone: Phone) -> None:
    other = service.phone()
    other.create(1)
    query = "&".join(f"{name}={value}" for name, value in GIFTS.items() if isinstance(value, str))
    query = query.replace("user_other", other.user_id)
    assert phone.data("GET", f"/jobs?{query}") == []
    assert phone.data("GET", f"/me?{query}")["plan"] == "free"


def test_a_signed_report_gives_no_more_than_a_result(service: Service, phone: Phone) -> None:
    """What the worker's secret is good for: to end the items of a job, and nothing else."""
    job_id = phone.queued_job(2)
    worker = service.worker(job_id)
    own = {"idx", "status", "idempotency_key", "dispatch_id", "attempt", "runpod_job_id"}
    gifts = {name: value for name, value in GIFTS.items() if name not in own | {"output_key"}}
    assert worker.send({**gifts, **worker.result(0)}).status_code == 200
    assert service.ledger(phone.user_id) == [("grant", 10), ("reserve", -2)]
    assert phone.statuses(job_id) == ["done", "pending"]
    assert phone.data("GET", "/me")["plan"] == "free"
