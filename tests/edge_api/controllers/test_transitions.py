"""Every call in every state of a job: what it answers, and what it leaves."""

from typing import Any

import httpx
import pytest

from tests.edge_api.phone import RULE, Phone
from tests.edge_api.service import Service
from tests.edge_api.states import STATES, job_in
from tests.edge_api.worker import Worker

Json = dict[str, Any]

OK, ACCEPTED = (200, None), (202, None)
REFUSED, CANCELED = (409, "INVALID_TRANSITION"), (409, "ALREADY_CANCELED")
UNKNOWN = (403, "CALLBACK_UNAUTHORIZED")

# The answer in each of STATES, and the state after it.
EXPECTED: dict[str, list[tuple[tuple[int, str | None], str]]] = {
    "confirm": [
        (OK, "uploaded"),
        (OK, "uploaded"),
        (OK, "queued"),
        (OK, "running"),
        (OK, "done"),
        (OK, "failed"),
        (CANCELED, "canceled"),
    ],
    "execute": [
        (REFUSED, "created"),
        (ACCEPTED, "queued"),
        (ACCEPTED, "queued"),
        (ACCEPTED, "running"),
        (ACCEPTED, "done"),
        (ACCEPTED, "failed"),
        (CANCELED, "canceled"),
    ],
    "execute otherwise": [
        (REFUSED, "created"),
        (ACCEPTED, "queued"),
        (REFUSED, "queued"),
        (REFUSED, "running"),
        (REFUSED, "done"),
        (REFUSED, "failed"),
        (CANCELED, "canceled"),
    ],
    "cancel": [
        (OK, "canceled"),
        (OK, "canceled"),
        (OK, "canceled"),
        (OK, "canceled"),
        (REFUSED, "done"),
        (REFUSED, "failed"),
        (OK, "canceled"),
    ],
    "callback": [
        (UNKNOWN, "created"),
        (UNKNOWN, "uploaded"),
        (OK, "running"),
        (OK, "done"),
        (OK, "done"),
        (OK, "failed"),
        (CANCELED, "canceled"),
    ],
    "read": [(OK, state) for state in STATES],
}

CASES = [
    pytest.param(call, state, *expected, id=f"{call} when {state}")
    for call, row in EXPECTED.items()
    for state, expected in zip(STATES, row, strict=True)
]


def make_call(service: Service, phone: Phone, job_id: str, call: str) -> httpx.Response:
    path = f"/jobs/{job_id}"
    match call:
        case "confirm":
            return phone.call("POST", f"{path}/confirm-upload")
        case "execute":
            return phone.call("POST", f"{path}/execute", RULE)
        case "execute otherwise":
            return phone.call("POST", f"{path}/execute", RULE | {"protect": ["Door"]})
        case "cancel":
            return phone.call("POST", f"{path}/cancel")
        case "callback":
            return _worker(service, phone, job_id).report(1)
        case _:
            return phone.call("GET", path)


def _worker(service: Service, phone: Phone, job_id: str) -> Worker:
    """The job's worker, or before there is one an impostor who knows the secret."""
    if service.rows("SELECT id FROM dispatches WHERE job_id = :job", job=job_id):
        return service.worker(job_id)
    folder = f"{phone.user_id}/{job_id}"
    message: Json = {
        "job_id": job_id,
        "dispatch_id": "dispatch_guess",
        "attempt": 1,
        "idempotency_prefix": job_id,
        "items": [
            {
                "idx": idx,
                "output_key": f"outputs/{folder}/{idx}_result.png",
                "preview_key": f"previews/{folder}/{idx}_thumb.jpg",
            }
            for idx in range(2)
        ],
    }
    return Worker(service.api, message, service.settings.callback_secrets[0].reveal())


@pytest.mark.parametrize(("call", "state", "answer", "after"), CASES)
def test_a_call_in_a_state(
    service: Service, call: str, state: str, answer: tuple[int, str | None], after: str
) -> None:
    phone = service.phone()
    job_id = job_in(service, phone, state)
    response = make_call(service, phone, job_id, call)
    error = response.json()["error"]
    assert (response.status_code, error and error["code"]) == answer
    assert phone.job(job_id)["status"] == after


@pytest.mark.parametrize("state", STATES)
def test_what_a_state_has_cost(service: Service, state: str) -> None:
    phone = service.phone()
    job_id = job_in(service, phone, state)
    refunds = {"done": 1, "failed": 2, "canceled": 2}
    assert phone.credits() == 8 + refunds.get(state, 0)
    assert phone.job(job_id)["refunded"] == refunds.get(state, 0)
    open_jobs = phone.data("GET", "/me")["limits"]["open_jobs"]
    assert open_jobs == (0 if state in {"done", "failed", "canceled"} else 1)


@pytest.mark.parametrize("state", ["created", "uploaded", "queued"])
def test_canceling_refunds_everything_that_is_not_done(service: Service, state: str) -> None:
    phone = service.phone()
    job_id = job_in(service, phone, state)
    response = phone.call("POST", f"/jobs/{job_id}/cancel")
    data = response.json()["data"]
    assert (data["canceled"], data["refunded"]) == (True, 2)
    assert type(data["refunded"]) is int
    assert phone.credits() == 10


@pytest.mark.parametrize("ended", [["done"], ["failed"], ["done", "failed"], ["done", "done"]])
def test_canceling_refunds_failed_and_pending_items_alike(
    service: Service, ended: list[str]
) -> None:
    phone = service.phone()
    job_id = phone.queued_job(4)
    worker = service.worker(job_id)
    for idx, status in enumerate(ended):
        assert worker.processed(idx, status)
    done = ended.count("done")
    assert phone.cancel(job_id)["refunded"] == 4 - done
    assert phone.credits() == 10 - done
    assert service.ledger(phone.user_id) == [("grant", 10), ("reserve", -4), ("refund", 4 - done)]


def test_canceling_again_answers_as_the_first_did(service: Service) -> None:
    phone = service.phone()
    job_id = phone.queued_job(3)
    assert service.worker(job_id).processed(0)
    first = phone.cancel(job_id)
    assert [phone.cancel(job_id) for _ in range(3)] == [first] * 3
    assert phone.credits() == 9
    assert len(service.ledger(phone.user_id)) == 3


def test_a_canceled_job_frees_its_slot(phone: Phone) -> None:
    for _ in range(3):
        phone.cancel(phone.uploaded_job(1))
    assert phone.data("GET", "/me")["limits"]["open_jobs"] == 0
