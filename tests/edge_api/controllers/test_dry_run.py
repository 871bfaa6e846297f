"""`POST /jobs/{id}/execute?dry_run=true`: what would run and cost, and nothing moves."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from edge_api.services.cost import ASSUMED_MS, FEWEST_ITEMS
from edge_api.storage.tables import metadata
from tests.edge_api.conftest import StartService
from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service
from tests.edge_api.states import STATES, job_in

Json = dict[str, Any]

TEMPLATE = RULE | {"output_template": "before_after"}


def rehearse(
    phone: Phone, job_id: str, body: object = RULE, key: str | None = None
) -> httpx.Response:
    headers = None if key is None else {"Idempotency-Key": key}
    path = f"/jobs/{job_id}/execute?dry_run=true"
    return phone.call("POST", path, body, headers=headers)


def tables(service: Service) -> dict[str, list[str]]:
    """Every row of every table, but for how often somebody called."""
    with service.transaction() as connection:
        return {
            name: sorted(str(tuple(row)) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
            if name != "rate_limits"
        }


def test_it_answers_as_executing_does_and_moves_nothing(start: StartService) -> None:
    service = start()
    phone = service.phone()
    job_id = phone.uploaded_job(3)
    before = tables(service)
    answer = rehearse(phone, job_id, TEMPLATE)
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert (data["job_id"], data["status"], data["queued"]) == (job_id, "uploaded", False)
    assert (data["items"], data["credits"]) == (3, 3)
    assert data["output_template"] == "전후비교"
    assert tables(service) == before
    assert service.runpod.runs == []
    executed = phone.execute(job_id, TEMPLATE)
    for field in ("concepts", "protect", "warnings"):
        assert data[field] == executed[field]
    assert tables(service) != before


def test_the_estimate_is_assumed_and_then_measured(start: StartService) -> None:
    service = start(GPU_USD_PER_SECOND="0.0005", BATCH_CONCURRENCY="2")
    phone = service.pro_phone()
    first = phone.uploaded_job(FEWEST_ITEMS)
    assert rehearse(phone, first).json()["data"]["estimate"] == {
        "gpu_seconds": FEWEST_ITEMS * ASSUMED_MS / 1000,
        "usd": 0.005,
        "basis": "assumed",
        "items_measured": 0,
    }
    phone.execute(first)
    worker = service.worker(first)
    for idx in range(FEWEST_ITEMS):
        assert worker.report(idx, timings={"segment": 0.1, "total": 0.76}).is_success
    assert phone.job(first)["status"] == "done"
    estimate = rehearse(phone, phone.uploaded_job(3)).json()["data"]["estimate"]
    # Two photos at once but for the last, 0.76 s each: 0.4 s of the worker's time for each.
    assert estimate == {
        "gpu_seconds": 1.2,
        "usd": 0.0006,
        "basis": "measured",
        "items_measured": FEWEST_ITEMS,
    }


def test_a_key_stays_free_for_the_real_call(service: Service, phone: Phone) -> None:
    job_id = phone.uploaded_job(1)
    for key in ("k1", "k1", "not a key"):
        assert rehearse(phone, job_id, key=key).status_code == 200
    held = "SELECT 1 FROM idempotency_keys WHERE user_id = :user"
    assert service.rows(held, user=phone.user_id) == []
    path = f"/jobs/{job_id}/execute"
    executed = phone.call("POST", path, RULE, headers={"Idempotency-Key": "k1"})
    again = phone.call("POST", path, RULE, headers={"Idempotency-Key": "k1"})
    assert (executed.status_code, again.status_code) == (202, 202)


BAD: list[Json] = [
    {"concepts": {"Wall": {"action": "recolor", "value": "ofwhite_b"}}},
    {"concepts": {}},
    RULE | {"output_template": "상품팩"},
    {"rule_id": "rule_nope"},
]


@pytest.mark.parametrize("body", BAD, ids=["value", "empty", "template", "rule"])
def test_it_is_refused_as_executing_is(phone: Phone, body: Json) -> None:
    job_id = phone.uploaded_job(1)
    dry = rehearse(phone, job_id, body)
    wet = phone.call("POST", f"/jobs/{job_id}/execute", body)
    assert dry.status_code == wet.status_code >= 400
    assert dry.json()["error"] == wet.json()["error"]


@pytest.mark.parametrize("state", STATES)
def test_it_needs_a_job_that_waits_to_be_executed(service: Service, state: str) -> None:
    phone = service.phone()
    job_id = job_in(service, phone, state)
    expected = {"uploaded": (200, None), "canceled": (409, "ALREADY_CANCELED")}
    answer = rehearse(phone, job_id)
    error: Json | None = answer.json()["error"]
    assert (answer.status_code, error and error["code"]) == expected.get(
        state, (409, "INVALID_TRANSITION")
    )
    assert phone.job(job_id)["status"] == state


def test_of_an_executed_job_it_says_where_to_look(phone: Phone) -> None:
    job_id = phone.queued_job(1)
    assert "was executed" in rehearse(phone, job_id).json()["error"]["message"]


def test_another_user_s_job_is_not_found(service: Service, phone: Phone) -> None:
    answer = rehearse(service.phone(), phone.uploaded_job(1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")


@pytest.mark.parametrize(("flag", "status"), [("false", 202), ("0", 202), ("maybe", 400)])
def test_only_true_is_a_dry_run(phone: Phone, flag: str, status: int) -> None:
    job_id = phone.uploaded_job(1)
    answer = phone.call("POST", f"/jobs/{job_id}/execute?dry_run={flag}", RULE)
    assert answer.status_code == status
