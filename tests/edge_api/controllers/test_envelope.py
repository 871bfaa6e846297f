"""The one shape of every answer, whatever goes wrong. The client checks it on every response."""

import re
from typing import Any

import httpx
import pytest

from tests.edge_api.conftest import StartService
from tests.edge_api.object_lister import BrokenLister, DownLister
from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

Json = dict[str, Any]


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("path", ["/", "/nope", "/jobs/a/b/c", "/v2/jobs", "/..%2f..%2fetc/passwd"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_address(service: Service, method: str, path: str) -> None:
    response = Phone(service.api).call(method, path)
    assert code(response) == (404, "NOT_FOUND")
    assert response.json()["error"]["message"] == "There is nothing at this address."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/me"),
        ("PUT", "/jobs"),
        ("GET", "/auth/anon"),
        ("PATCH", "/rules/rule_1"),
        ("GET", "/jobs/job_1/cancel"),
        ("POST", "/health"),
    ],
)
def test_a_method_that_an_address_does_not_take(phone: Phone, method: str, path: str) -> None:
    response = phone.call(method, path)
    assert code(response) == (405, "METHOD_NOT_ALLOWED")
    allowed = response.headers["allow"].replace(" ", "").split(",")
    assert allowed
    assert method not in allowed


TOO_LARGE = b'{"device_hash": "' + b"x" * 300_000 + b'"}'


@pytest.mark.parametrize("path", ["/auth/anon", "/jobs", "/rules", "/jobs/job_1/callback"])
def test_a_body_that_is_too_large(phone: Phone, path: str) -> None:
    assert code(phone.call("POST", path, content=TOO_LARGE)) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "image/jpeg", "json"],
)
@pytest.mark.parametrize("path", ["/auth/anon", "/jobs", "/rules"])
def test_a_body_of_another_type(phone: Phone, path: str, media_type: str) -> None:
    response = phone.call("POST", path, content=b"{}", headers={"Content-Type": media_type})
    assert code(response) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"],
)
def test_the_ways_to_say_json(service: Service, media_type: str) -> None:
    response = service.api.post("/auth/anon", headers={"Content-Type": media_type})
    assert response.status_code == 200


def test_a_body_without_a_type_is_taken_for_json(service: Service) -> None:
    response = service.api.request("POST", "/auth/anon", content=b'{"device_hash": "no-type"}')
    assert response.status_code == 200


EMPTY_ACCEPTED = ["/auth/anon", "/jobs/{job}/confirm-upload", "/jobs/{job}/cancel"]
EMPTY_REFUSED = ["/jobs", "/rules", "/jobs/{job}/execute"]


@pytest.mark.parametrize("path", EMPTY_ACCEPTED)
def test_a_zero_byte_body_with_a_json_type_is_accepted(phone: Phone, path: str) -> None:
    response = phone.call("POST", path.format(job=phone.created_job()), content=b"")
    assert response.request.headers["content-length"] == "0"
    assert response.status_code == 200


@pytest.mark.parametrize("path", EMPTY_REFUSED)
def test_a_zero_byte_body_where_something_is_needed_is_a_clear_400(phone: Phone, path: str) -> None:
    response = phone.call("POST", path.format(job=phone.uploaded_job()), content=b"")
    assert code(response) == (400, "VALIDATION_ERROR")
    details = response.json()["error"]["details"]
    assert [(problem["path"], problem["message"]) for problem in details] == [("body", "is empty")]


@pytest.mark.parametrize("content", [b"{}", b'{"anything": [1, 2]}', b"null"])
@pytest.mark.parametrize("call", ["confirm-upload", "cancel"])
def test_confirm_and_cancel_take_any_object(phone: Phone, call: str, content: bytes) -> None:
    response = phone.call("POST", f"/jobs/{phone.created_job()}/{call}", content=content)
    assert response.status_code == 200


def test_what_was_not_foreseen_shows_nothing_of_the_inside(start: StartService) -> None:
    service = start(lister=BrokenLister())
    phone = service.phone()
    job = phone.create()
    response = phone.call("POST", f"/jobs/{job['job_id']}/confirm-upload")
    assert code(response) == (500, "INTERNAL_ERROR")
    assert set(response.json()["error"]) == {"code", "message"}
    for inner in (BrokenLister.secret, "Traceback", "RuntimeError", "edge_api", ".py"):
        assert inner not in response.text


def test_an_object_store_that_is_down_is_a_503_with_retry_after(start: StartService) -> None:
    service = start(lister=DownLister())
    phone = service.phone()
    job_id = phone.create()["job_id"]
    response = phone.call("POST", f"/jobs/{job_id}/confirm-upload")
    assert code(response) == (503, "UNAVAILABLE")
    assert int(response.headers["retry-after"]) > 0
    assert "s3-images" not in response.text
    assert phone.job(job_id)["status"] == "created"


def test_a_database_that_fails_shows_nothing_of_itself(start: StartService) -> None:
    service = start()
    phone = service.phone()
    service.change("ALTER TABLE jobs RENAME TO jobs_gone")
    response = phone.call("GET", "/jobs")
    assert code(response) == (500, "INTERNAL_ERROR")
    assert "jobs_gone" not in response.text
    assert "sqlite" not in response.text.lower()
    service.change("ALTER TABLE jobs_gone RENAME TO jobs")


@pytest.mark.parametrize("sent", ["abcd1234", "A" * 128, "0e7c.b-2_f1234"])
@pytest.mark.parametrize("path", ["/health", "/me", "/nope"])
def test_a_sane_request_id_is_taken_and_sent_back(service: Service, path: str, sent: str) -> None:
    response = service.api.get(path, headers={"X-Request-ID": sent})
    assert response.headers["x-request-id"] == sent
    assert response.json()["meta"]["request_id"] == sent


@pytest.mark.parametrize(
    "sent", ["", "short", "A" * 129, "with space in it", 'a"quote"d-id', "<b>12345"]
)
def test_another_request_id_is_replaced(service: Service, sent: str) -> None:
    response = service.api.get("/health", headers={"X-Request-ID": sent})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


def test_every_request_has_an_id_of_its_own(service: Service) -> None:
    ids = {service.api.get("/health").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize("path", ["/health", "/nope", "/me"])
def test_answers_are_not_to_be_cached_or_sniffed(service: Service, path: str) -> None:
    headers = service.api.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def _provoke(service: Service) -> dict[str, tuple[int, httpx.Response]]:
    """One answer for every row of the catalogue that no other test here stands for."""
    phone, other = service.phone(), service.pro_phone()
    job_id = phone.queued_job(2)
    worker = service.worker(job_id)
    for _ in range(2):
        phone.data("POST", "/rules", {"name": "n", "preset_id": "interior", **RULE})
    rule = {"name": "n", "preset_id": "interior", **RULE}
    return {
        "VALIDATION_ERROR": (400, phone.call("POST", "/rules", {})),
        "AUTH_REQUIRED": (401, service.api.get("/me")),
        "TOKEN_EXPIRED": (
            401,
            Phone(service.api, service.token(sub="u", exp=1)).call("GET", "/me"),
        ),
        "TOKEN_INVALID": (401, Phone(service.api, "garbage").call("GET", "/me")),
        "RULE_SLOT_FULL": (403, phone.call("POST", "/rules", rule)),
        "ITEM_LIMIT": (403, phone.call("POST", "/jobs", {"preset": "interior", "item_count": 11})),
        "CALLBACK_UNAUTHORIZED": (403, worker.send(worker.result(0), secret="x" * 32)),
        "NOT_FOUND": (404, phone.call("GET", f"/jobs/{job_id}/items/2")),
        "INVALID_PRESET": (404, phone.call("POST", "/jobs", {"preset": "x", "item_count": 1})),
        "JOB_NOT_FOUND": (404, other.call("GET", f"/jobs/{job_id}")),
        "RULE_NOT_FOUND": (404, phone.call("GET", "/rules/rule_x")),
        "INVALID_TRANSITION": (
            409,
            phone.call("POST", f"/jobs/{job_id}/execute", {**RULE, "protect": ["Door"]}),
        ),
        "CONCURRENCY_LIMIT": (
            429,
            phone.call("POST", "/jobs", {"preset": "interior", "item_count": 1}),
        ),
        "CREDITS_EXHAUSTED": (402, _exhausted(other)),
        "ALREADY_CANCELED": (409, _canceled(phone, job_id)),
    }


def _exhausted(phone: Phone) -> httpx.Response:
    phone.queued_job(3)
    return phone.call("POST", "/jobs", {"preset": "interior", "item_count": 198})


def _canceled(phone: Phone, job_id: str) -> httpx.Response:
    phone.cancel(job_id)
    return phone.call("POST", f"/jobs/{job_id}/execute", RULE)


def test_the_catalogue_of_errors(service: Service) -> None:
    provoked = _provoke(service)
    seen = {name: code(response) for name, (_, response) in provoked.items()}
    assert seen == {name: (status, name) for name, (status, _) in provoked.items()}
    for name, (_, response) in provoked.items():
        message = response.json()["error"]["message"]
        assert message.endswith((".", "`")) or name == "VALIDATION_ERROR", message
