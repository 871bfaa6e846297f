"""NUL: text for Python, JSON and SQLite, and an error for PostgreSQL wherever one gets through."""

from typing import Any

import pytest

from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

NUL = "a\0b"
REPAINT: Json = {"action": "recolor", "value": "oak_a"}
SAVED: Json = {"name": "n", "preset_id": "interior", **RULE}

BODIES: dict[str, tuple[str, str, Json]] = {
    "device_hash": ("POST", "/auth/anon", {"device_hash": NUL}),
    "a rule's name": ("POST", "/rules", {**SAVED, "name": NUL}),
    "a rule's concept": ("POST", "/rules", {**SAVED, "concepts": {NUL: REPAINT}}),
    "a rule's protection": ("POST", "/rules", {**SAVED, "protect": [NUL]}),
    "a rule's new name": ("PUT", "/rules/{rule}", {"name": NUL}),
    "rule_id": ("POST", "/jobs/{job}/execute", {"rule_id": NUL}),
    "a value": (
        "POST",
        "/jobs/{job}/execute",
        {"concepts": {"Wall": {**REPAINT, "value": NUL}}},
    ),
    "output_template": ("POST", "/jobs/{job}/execute", {**RULE, "output_template": NUL}),
}


def fill(path: str, phone: Phone) -> str:
    rule, job = "{rule}" in path, "{job}" in path
    return path.format(
        rule=phone.data("POST", "/rules", SAVED)["rule"]["id"] if rule else "",
        job=phone.uploaded_job(1) if job else "",
    )


@pytest.mark.parametrize("where", BODIES)
def test_in_a_body_it_is_a_400(phone: Phone, where: str) -> None:
    method, path, body = BODIES[where]
    response = phone.call(method, fill(path, phone), body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


def test_a_preset_of_that_name_is_not_there(phone: Phone) -> None:
    for path, body in (("/jobs", {"preset": NUL, "item_count": 1}), ("/rules", SAVED)):
        response = phone.call("POST", path, body | {"preset_id": NUL})
        assert response.status_code == 404


PATHS = ["/rules/%00", "/jobs/%00", "/jobs/job_%00", "/jobs/%00/items/0", "/presets/in%00terior"]


@pytest.mark.parametrize("path", PATHS)
def test_in_a_path_there_is_nothing(phone: Phone, path: str) -> None:
    assert phone.call("GET", path).status_code == 404


@pytest.mark.parametrize("query", ["cursor=%00", "cursor=job_%00", "limit=%00"])
def test_in_a_query_it_is_a_400(phone: Phone, query: str) -> None:
    assert phone.call("GET", f"/jobs?{query}").status_code == 400


@pytest.mark.parametrize("field", ["dispatch_id", "runpod_job_id"])
def test_from_a_worker_it_is_a_400(service: Service, phone: Phone, field: str) -> None:
    job_id = phone.queued_job(1)
    worker = service.worker(job_id)
    response = worker.send(worker.result(0, **{field: NUL}))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert phone.statuses(job_id) == ["pending"]
