"""What the worker reports: verified, fenced, written once."""

import json
import time
from typing import Any

import httpx
import pytest

from edge_api.services.attempts import Policy, retry_or_abandon
from shared.signing import sign_headers
from tests.edge_api import rows
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service
from tests.edge_api.worker import Worker

Json = dict[str, Any]


class Scene:
    """A job of three items that a worker is busy with."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.phone: Phone = service.phone()
        self.job_id = self.phone.queued_job(3)
        self.worker: Worker = service.worker(self.job_id)

    def job(self) -> Json:
        return self.phone.job(self.job_id)

    def retry(self) -> Worker:
        """Replace the attempt by the next one, as the reconciler does when a worker is lost."""
        with self.service.transaction() as connection:
            dispatch = rows.newest(connection, self.job_id)
            retry_or_abandon(connection, dispatch, "failed", Policy(), rows.NOW)
            following = rows.newest(connection, self.job_id)
        message = self.worker.message | {"dispatch_id": following.id, "attempt": following.attempt}
        secret = self.service.settings.callback_secrets[0].reveal()
        return Worker(self.service.api, message, secret)


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service)


def refused(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    return response.status_code, "" if error is None else error["code"]


UNAUTHORIZED = (403, "CALLBACK_UNAUTHORIZED")


def test_an_item_ends_once(scene: Scene) -> None:
    response = scene.worker.report(1)
    assert response.status_code == 200
    assert response.json()["data"] == {"processed": True}
    before = scene.job()
    assert before["status"] == "running"
    for status in ("done", "failed"):
        assert scene.worker.processed(1, status) is False
    assert scene.job() == before


def test_the_last_item_ends_the_job(scene: Scene) -> None:
    for idx in (2, 0, 1):
        assert scene.worker.processed(idx)
    job = scene.job()
    assert (job["status"], job["done_items"], job["refunded"]) == ("done", 3, 0)
    assert scene.phone.credits() == 7


def test_failed_items_are_refunded_when_the_job_ends_and_once(scene: Scene) -> None:
    assert scene.worker.processed(0, "failed")
    assert scene.phone.credits() == 7
    assert scene.worker.processed(1)
    assert scene.worker.processed(2, "failed")
    assert scene.phone.credits() == 9
    for idx, status in [(0, "failed"), (2, "failed"), (2, "done"), (1, "failed")]:
        assert scene.worker.processed(idx, status) is False
    job = scene.job()
    assert (job["status"], job["done_items"], job["failed_items"]) == ("done", 1, 2)
    assert scene.service.ledger(scene.phone.user_id) == [
        ("grant", 10),
        ("reserve", -3),
        ("refund", 2),
    ]


def test_a_job_of_which_nothing_succeeded_has_failed(scene: Scene) -> None:
    for idx in range(3):
        assert scene.worker.processed(idx, "failed")
    assert scene.job()["status"] == "failed"
    assert scene.phone.credits() == 10


def test_a_late_item_after_the_job_ended_changes_nothing(scene: Scene) -> None:
    for idx in range(3):
        assert scene.worker.processed(idx, "failed")
    before = scene.job()
    for idx in range(3):
        assert scene.worker.processed(idx, "done") is False
    assert scene.job() == before
    assert scene.phone.credits() == 10


def test_a_late_item_after_a_cancel_leaves_the_refund_exact(scene: Scene) -> None:
    assert scene.worker.processed(0)
    assert scene.phone.cancel(scene.job_id)["refunded"] == 2
    for idx in range(3):
        assert refused(scene.worker.report(idx)) == (409, "ALREADY_CANCELED")
    job = scene.job()
    assert (job["status"], job["done_items"], job["refunded"]) == ("canceled", 1, 2)
    assert scene.phone.credits() == 9


def _bad_signatures(worker: Worker) -> dict[str, dict[str, str]]:
    """Headers to send over good ones; an empty value leaves the header out."""
    content = json.dumps(worker.result(0)).encode()
    other = sign_headers("z" * 32, "msg_1", content, now=rows.NOW)
    return {
        "no id": {"webhook-id": ""},
        "no timestamp": {"webhook-timestamp": ""},
        "no signature": {"webhook-signature": ""},
        "another id": {"webhook-id": "msg_other"},
        "another timestamp": {"webhook-timestamp": "1700000000"},
        "garbage timestamp": {"webhook-timestamp": "soon"},
        "negative timestamp": {"webhook-timestamp": "-1"},
        "another secret's signature": {"webhook-signature": other["webhook-signature"]},
        "garbage": {"webhook-signature": "garbage"},
        "another version": {"webhook-signature": "v2,AAAA"},
        "empty": {"webhook-signature": "v1,"},
        "very long": {"webhook-signature": "v1,AAAA " * 1000},
    }


def test_every_kind_of_bad_signature(scene: Scene) -> None:
    seen = {
        name: refused(scene.worker.send(scene.worker.result(0), headers=headers))
        for name, headers in _bad_signatures(scene.worker).items()
    }
    assert seen == dict.fromkeys(seen, UNAUTHORIZED)
    assert scene.job()["status"] == "queued"


def test_unsigned(scene: Scene) -> None:
    path = f"/jobs/{scene.job_id}/callback"
    response = scene.service.api.post(path, json=scene.worker.result(0))
    assert refused(response) == UNAUTHORIZED


def test_a_user_s_token_opens_no_callback(scene: Scene) -> None:
    response = scene.phone.call("POST", f"/jobs/{scene.job_id}/callback", scene.worker.result(0))
    assert refused(response) == UNAUTHORIZED


@pytest.mark.parametrize("age", [301, -301, 86400, 10**9])
def test_a_signature_out_of_time(scene: Scene, age: float) -> None:
    assert refused(scene.worker.send(scene.worker.result(0), age=age)) == UNAUTHORIZED


@pytest.mark.parametrize("age", [290, -290])
def test_a_signature_within_five_minutes(scene: Scene, age: float) -> None:
    assert scene.worker.send(scene.worker.result(0), age=age).status_code == 200


def test_another_secret(scene: Scene) -> None:
    forged = scene.worker.send(scene.worker.result(0), secret="forged-" + "f" * 32)
    assert refused(forged) == UNAUTHORIZED


def test_both_secrets_of_a_rotation(scene: Scene) -> None:
    new, old = scene.service.settings.callback_secrets
    for idx, secret in enumerate((new, old)):
        response = scene.worker.send(scene.worker.result(idx), secret=secret.reveal())
        assert response.json()["data"] == {"processed": True}


def test_a_body_that_was_changed_after_signing(scene: Scene) -> None:
    body = json.dumps(scene.worker.result(0)).encode()
    secret = scene.service.settings.callback_secrets[0].reveal()
    headers = sign_headers(secret, "msg_1", body, now=time.time())
    changed = body + b" "  # it says the same, so that nothing but the signature can object
    path = f"/jobs/{scene.job_id}/callback"
    assert refused(scene.service.api.post(path, content=changed, headers=headers)) == UNAUTHORIZED
    assert scene.service.api.post(path, content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"idempotency_key": "job_other:0:attempt1"},
        {"idempotency_key": "{job}:1:attempt1"},
        {"idempotency_key": "{job}:0:attempt2"},
        {"idempotency_key": ""},
        {"dispatch_id": "dispatch_other"},
        {"dispatch_id": ""},
        {"attempt": 2},
        {"attempt": 0},
        {"attempt": 10**30},
        {"idx": 1},
        {"idx": 3, "idempotency_key": "{job}:3:attempt1"},
        {"idx": -1, "idempotency_key": "{job}:-1:attempt1"},
        {"idx": 10**30, "idempotency_key": f"{{job}}:{10**30}:attempt1"},
        {"output_key": "outputs/{user}/{job}/1_result.png"},
        {"output_key": "outputs/user_x/{job}/0_result.png"},
        {"output_key": "inputs/{user}/{job}/0.jpg"},
        {"output_key": "outputs/{user}/{job}/../{job}/0_result.png"},
        {"output_key": None},
        {"output_key": ""},
        {"preview_key": "previews/{user}/job_other/0_thumb.jpg"},
        {"preview_key": None},
    ],
    ids=str,
)
def test_what_is_not_this_job_s_is_refused(scene: Scene, changes: Json) -> None:
    ids = {"job": scene.job_id, "user": scene.phone.user_id}
    filled = {k: v.format(**ids) if isinstance(v, str) else v for k, v in changes.items()}
    body = scene.worker.result(0) | filled
    assert refused(scene.worker.send(body)) == UNAUTHORIZED
    job = scene.job()
    assert job["status"] == "queued"
    assert [item["status"] for item in job["items"]] == ["pending"] * 3


@pytest.mark.parametrize("field", ["output_key", "preview_key"])
def test_a_failed_item_names_no_other_job_s_keys(scene: Scene, field: str) -> None:
    foreign = {field: "outputs/user_x/job_x/0_result.png"}
    assert refused(scene.worker.report(0, "failed", **foreign)) == UNAUTHORIZED
    own = {field: scene.worker.message["items"][0][field]}
    assert scene.worker.report(0, "failed", **own).status_code == 200


def test_a_worker_of_one_job_cannot_report_for_another(service: Service) -> None:
    mine, other = Scene(service), Scene(service)
    response = mine.worker.send(mine.worker.result(0), job_id=other.job_id)
    assert refused(response) == UNAUTHORIZED
    body = other.worker.result(0, dispatch_id=mine.worker.message["dispatch_id"])
    assert refused(mine.worker.send(body, job_id=other.job_id)) == UNAUTHORIZED
    assert other.job()["status"] == "queued"


def test_a_job_that_is_not_there(scene: Scene) -> None:
    response = scene.worker.send(scene.worker.result(0), job_id="job_nope")
    assert refused(response) == (404, "JOB_NOT_FOUND")


@pytest.mark.parametrize("body", [None, [], "text", {}, {"idx": 0}], ids=str)
def test_a_signed_body_that_is_no_result_is_a_400(scene: Scene, body: object) -> None:
    assert refused(scene.worker.send(body)) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "changes",
    [
        {"idx": "zero"},
        {"status": "running"},
        {"status": "pending"},
        {"error": "text"},
        {"attempt": "1"},
        {"timings": {"total": "long"}},
        {"report": {"engine": 5}},
    ],
    ids=str,
)
def test_a_field_that_does_not_fit_is_a_400(scene: Scene, changes: Json) -> None:
    body = scene.worker.result(0) | changes
    assert refused(scene.worker.send(body)) == (400, "VALIDATION_ERROR")
    assert scene.job()["status"] == "queued"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 10_000, b'{"idx": "\xff"}'])
def test_signed_bytes_that_are_no_json_are_a_400(scene: Scene, content: bytes) -> None:
    secret = scene.service.settings.callback_secrets[0].reveal()
    headers = sign_headers(secret, "msg_1", content, now=time.time())
    path = f"/jobs/{scene.job_id}/callback"
    response = scene.service.api.post(path, content=content, headers=headers)
    assert refused(response) == (400, "VALIDATION_ERROR")


def test_fields_that_are_new_are_ignored(scene: Scene) -> None:
    assert scene.worker.report(0, heartbeat=3, more={"a": 1}).status_code == 200


def test_a_replaced_attempt_is_superseded(scene: Scene) -> None:
    assert scene.worker.processed(0)
    second = scene.retry()
    for idx in (0, 1):
        assert refused(scene.worker.report(idx)) == (409, "SUPERSEDED")
    assert scene.phone.statuses(scene.job_id) == ["done", "pending", "pending"]
    assert second.processed(0) is False
    assert second.processed(1)
    assert second.processed(2, "failed")
    job = scene.job()
    assert (job["status"], job["done_items"], job["failed_items"]) == ("done", 2, 1)
    assert refused(scene.worker.report(1)) == (409, "SUPERSEDED")
    assert second.processed(1) is False


def test_the_error_of_an_item_reaches_the_phone(scene: Scene) -> None:
    error = {"code": "IMAGE_TOO_LARGE", "message": "사진이 너무 큽니다.", "retryable": False}
    assert scene.worker.report(0, "failed", error=error).is_success
    item = scene.job()["items"][0]
    assert item == {
        "idx": 0,
        "status": "failed",
        "error": "사진이 너무 큽니다.",
        "error_code": "IMAGE_TOO_LARGE",
    }


def test_an_item_has_an_error_where_it_failed_and_nowhere_else(scene: Scene) -> None:
    assert scene.worker.report(0, "failed", error=None).is_success
    error = {"code": "ODD", "message": "But it is done.", "retryable": False}
    assert scene.worker.report(1, error=error).is_success
    failed, done, _ = scene.job()["items"]
    assert failed["status"] == "failed"
    assert failed["error_code"] == "ITEM_FAILED"
    assert failed["error"].endswith(".")
    assert done == {"idx": 1, "status": "done"}


def test_callbacks_before_the_submit_was_recorded(service: Service) -> None:
    """A worker may be quicker than the answer of `/run`."""
    phone = service.phone()
    with service.transaction() as connection:
        job_id = rows.queued(connection, phone.user_id, 1)
        dispatch = rows.newest(connection, job_id)
        message = {
            "job_id": job_id,
            "dispatch_id": dispatch.id,
            "attempt": 1,
            "idempotency_prefix": job_id,
            "items": [
                {
                    "idx": 0,
                    "output_key": f"outputs/{phone.user_id}/{job_id}/0_result.png",
                    "preview_key": f"previews/{phone.user_id}/{job_id}/0_thumb.jpg",
                }
            ],
        }
    secret = service.settings.callback_secrets[0].reveal()
    assert Worker(service.api, message, secret).processed(0)
    assert phone.job(job_id)["status"] == "done"
