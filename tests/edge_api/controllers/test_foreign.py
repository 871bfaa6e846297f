"""Another user's jobs and rules: their existence is not disclosed, and nothing happens to them."""

from typing import Any

import pytest

from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service

Json = dict[str, Any]

JOB_CALLS: list[tuple[str, str, object]] = [
    ("GET", "/jobs/{job}", None),
    ("GET", "/jobs/{job}/items/0", None),
    ("POST", "/jobs/{job}/confirm-upload", None),
    ("POST", "/jobs/{job}/execute", RULE),
    ("POST", "/jobs/{job}/cancel", None),
]

RULE_CALLS: list[tuple[str, str, object]] = [
    ("GET", "/rules/{rule}", None),
    ("PUT", "/rules/{rule}", {"name": "mine now"}),
    ("DELETE", "/rules/{rule}", None),
]


def answers(phone: Phone, calls: list[tuple[str, str, object]], **ids: str) -> list[Json]:
    found: list[Json] = []
    for method, path, body in calls:
        response = phone.call(method, path.format(**ids), body)
        assert response.status_code == 404, path
        found.append(response.json()["error"])
    return found


@pytest.mark.parametrize("state", ["created", "uploaded", "queued", "canceled"])
def test_a_foreign_job_reads_as_one_that_was_never_there(service: Service, state: str) -> None:
    owner, other = service.phone(), service.phone()
    job_id = owner.created_job()
    if state in {"uploaded", "queued"}:
        owner.data("POST", f"/jobs/{job_id}/confirm-upload")
    if state == "queued":
        owner.execute(job_id)
    if state == "canceled":
        owner.cancel(job_id)
    before = owner.job(job_id)
    foreign = answers(other, JOB_CALLS, job=job_id)
    assert foreign == answers(other, JOB_CALLS, job="job_" + "0" * 32)
    assert {error["code"] for error in foreign} == {"JOB_NOT_FOUND"}
    assert owner.job(job_id) == before
    assert other.data("GET", "/jobs") == []


def test_a_foreign_rule_reads_as_one_that_was_never_there(service: Service) -> None:
    owner, other = service.phone(), service.phone()
    rule = owner.data("POST", "/rules", {"name": "r", "preset_id": "interior", **RULE})["rule"]
    foreign = answers(other, RULE_CALLS, rule=rule["id"])
    assert foreign == answers(other, RULE_CALLS, rule="rule_nope")
    assert {error["code"] for error in foreign} == {"RULE_NOT_FOUND"}
    assert owner.data("GET", f"/rules/{rule['id']}")["rule"] == rule
    assert other.data("GET", "/rules") == {"rules": []}


def test_a_foreign_job_does_not_count_towards_the_limit(service: Service) -> None:
    owner, other = service.phone(), service.phone()
    owner.queued_job(1)
    assert other.create(1)["job_id"]
