"""The background loops of a running service: dispatch, reconcile, expire."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx
import pytest

from edge_api.services.loops import repeat
from tests.edge_api.conftest import EAGER, StartService
from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

Step = Callable[[], Awaitable[bool]]
Wake = asyncio.Event

LONG_AGO = 1_700_000_000.0


@pytest.fixture
def eager(start: StartService) -> Service:
    return start(intervals=EAGER)


def make_due(service: Service, job_id: str) -> None:
    service.change("UPDATE dispatches SET next_at = 0 WHERE job_id = :job", job=job_id)


def wait_for_status(service: Service, job_id: str, status: str) -> None:
    service.wait_until(
        "SELECT id FROM jobs WHERE id = :job AND status = :status", job=job_id, status=status
    )


def wait_for_state(service: Service, job_id: str, attempt: int, state: str) -> None:
    service.wait_until(
        "SELECT id FROM dispatches WHERE job_id = :job AND attempt = :attempt AND state = :state",
        job=job_id,
        attempt=attempt,
        state=state,
    )


def test_executing_wakes_the_dispatcher(service: Service) -> None:
    # This service's loops step once a minute by themselves; the wait is far shorter.
    job_id = service.phone().queued_job(1)
    assert service.runpod.wait_for_run(job_id)["attempt"] == 1


def test_canceling_tells_runpod(service: Service) -> None:
    phone = service.phone()
    job_id = phone.queued_job(1)
    message = service.runpod.wait_for_run(job_id)
    wait_for_state(service, job_id, 1, "submitted")
    phone.cancel(job_id)
    service.runpod.wait_for_cancel(service.runpod.runpod_id(message))
    wait_for_state(service, job_id, 1, "ended")


def test_the_job_s_output_ends_it_where_the_callbacks_were_lost(eager: Service) -> None:
    phone = eager.phone()
    job_id = phone.queued_job(2)
    worker = eager.worker(job_id)
    wait_for_state(eager, job_id, 1, "submitted")
    summary = worker.summary(worker.result(0), worker.result(1, "failed"))
    eager.runpod.tell(eager.runpod.runpod_id(worker.message), "COMPLETED", summary)
    make_due(eager, job_id)
    wait_for_status(eager, job_id, "done")
    assert phone.statuses(job_id) == ["done", "failed"]
    assert phone.credits() == 9


def test_a_running_job_shows_before_its_first_item(eager: Service) -> None:
    phone = eager.phone()
    job_id = phone.queued_job(2)
    message = eager.runpod.wait_for_run(job_id)
    wait_for_state(eager, job_id, 1, "submitted")
    eager.runpod.tell(eager.runpod.runpod_id(message), "IN_PROGRESS")
    make_due(eager, job_id)
    wait_for_status(eager, job_id, "running")


@pytest.mark.parametrize("how", ["FAILED", "TIMED_OUT", "forgotten"])
def test_a_lost_worker_is_replaced_twice_and_then_paid_back(eager: Service, how: str) -> None:
    phone = eager.phone()
    job_id = phone.queued_job(3)
    assert eager.worker(job_id).processed(1)
    for attempt in (1, 2, 3):
        message = eager.runpod.wait_for_run(job_id, attempt)
        wait_for_state(eager, job_id, attempt, "submitted")
        assert phone.job(job_id)["status"] == "running"
        runpod_id = eager.runpod.runpod_id(message)
        if how == "forgotten":
            eager.runpod.forget(runpod_id)
        else:
            eager.runpod.tell(runpod_id, how)
        make_due(eager, job_id)
    wait_for_status(eager, job_id, "done")
    sent = [[item["idx"] for item in m["items"]] for m in eager.runpod.runs_of(job_id)]
    assert sent == [[0, 1, 2], [0, 2], [0, 2]]
    job = phone.job(job_id)
    assert [item["status"] for item in job["items"]] == ["failed", "done", "failed"]
    assert {item.get("error_code") for item in job["items"]} == {None, "WORKER_LOST"}
    assert phone.credits() == 9


def test_a_second_worker_finishes_what_the_first_began(eager: Service) -> None:
    phone = eager.phone()
    job_id = phone.queued_job(2)
    first = eager.worker(job_id)
    assert first.processed(0)
    wait_for_state(eager, job_id, 1, "submitted")
    eager.runpod.tell(eager.runpod.runpod_id(first.message), "FAILED")
    make_due(eager, job_id)
    second = eager.worker(job_id, attempt=2)
    response = first.report(1)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "SUPERSEDED")
    assert second.processed(1)
    assert phone.job(job_id)["status"] == "done"
    assert phone.credits() == 8


def test_a_refusal_by_runpod_ends_the_job_with_a_refund(eager: Service) -> None:
    eager.runpod.answers.append(httpx.Response(400, json={"error": "bad input"}))
    phone = eager.phone()
    job_id = phone.queued_job(2)
    wait_for_status(eager, job_id, "failed")
    job = phone.job(job_id)
    assert {item["error_code"] for item in job["items"]} == {"DISPATCH_FAILED"}
    assert phone.credits() == 10


def test_trouble_with_runpod_passes(eager: Service) -> None:
    eager.runpod.answers += [httpx.Response(429), httpx.ConnectError("refused")]
    phone = eager.phone()
    job_id = phone.queued_job(1)
    for count in (1, 2):
        eager.runpod.wait_for_requests(count)
        eager.wait_until(
            "SELECT id FROM dispatches WHERE job_id = :job AND state = 'new' AND tries = :tries",
            job=job_id,
            tries=count,
        )
        make_due(eager, job_id)
    assert eager.worker(job_id).processed(0)
    assert phone.job(job_id)["status"] == "done"


HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("state", "age", "expires"),
    [
        ("created", HOUR - 60, False),
        ("created", HOUR + 60, True),
        ("uploaded", HOUR + 60, False),
        ("uploaded", DAY - 60, False),
        ("uploaded", DAY + 60, True),
        ("queued", 3 * DAY, False),
    ],
)
def test_what_was_left_behind_expires(
    eager: Service, state: str, age: float, expires: bool
) -> None:
    phone, marker = eager.phone(), eager.phone()
    make = {"created": phone.created_job, "uploaded": phone.uploaded_job}
    job_id = make.get(state, phone.queued_job)(2)
    other = marker.created_job(1)
    # The marker expires in any case: when it has, the loop has seen the job too.
    eager.change(
        "UPDATE jobs SET created_at = created_at - :age, confirmed_at = confirmed_at - :age"
        " WHERE id = :job",
        age=age,
        job=job_id,
    )
    eager.change("UPDATE jobs SET created_at = :at WHERE id = :job", at=LONG_AGO, job=other)
    wait_for_status(eager, other, "canceled")
    job = phone.job(job_id)
    assert job["status"] == ("canceled" if expires else state)
    assert job["refunded"] == (2 if expires else 0)
    assert phone.credits() == (10 if expires else 8)


def test_an_expired_job_no_longer_locks_its_user_out(eager: Service) -> None:
    phone = eager.phone()
    job_id = phone.uploaded_job(2)
    assert phone.call("POST", "/jobs", {"preset": "interior", "item_count": 1}).status_code == 429
    eager.change("UPDATE jobs SET confirmed_at = :at WHERE id = :job", at=LONG_AGO, job=job_id)
    wait_for_status(eager, job_id, "canceled")
    assert phone.create(10)["job_id"]


def test_the_windows_are_settings(start: StartService) -> None:
    eager = start(intervals=EAGER, UPLOAD_WINDOW_SEC="1", EXECUTE_WINDOW_SEC="100000")
    phone: Phone = eager.phone()
    job_id = phone.create(1)["job_id"]
    wait_for_status(eager, job_id, "canceled")


async def loop_until(enough: asyncio.Event, step: Step, interval: float, wake: Wake) -> None:
    loop = asyncio.create_task(repeat("dispatch", step, interval, wake))
    async with asyncio.timeout(5):
        await enough.wait()
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


def test_a_step_that_raises_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    steps: list[int] = []

    async def run() -> None:
        enough = asyncio.Event()

        async def step() -> bool:
            steps.append(len(steps))
            if len(steps) == 1:
                raise RuntimeError("one bad row")
            if len(steps) == 6:
                enough.set()
            return len(steps) < 4

        await loop_until(enough, step, 0.01, asyncio.Event())

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == ["dispatch failed"]


def test_a_wake_during_a_step_is_not_lost() -> None:
    steps: list[int] = []

    async def run() -> None:
        wake, enough = asyncio.Event(), asyncio.Event()

        async def step() -> bool:
            steps.append(len(steps))
            (wake if len(steps) == 1 else enough).set()
            return False

        await loop_until(enough, step, 60.0, wake)

    asyncio.run(run())
    assert steps == [0, 1]
