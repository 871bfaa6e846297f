"""Two versions of the job message: what is written, and what follows where nobody reads it."""

import httpx
import msgspec
import pytest
from sqlalchemy import Connection

from edge_api.clients.runpod import RunpodJob, RunpodStatus
from edge_api.services.attempts import (
    NOT_DISPATCHED,
    UNREAD_TRIES,
    Lost,
    Policy,
    apply_status,
)
from edge_api.storage.dead_letters import list_dead_letters
from edge_api.storage.dispatches import Dispatch
from shared.messages import JobMessage
from shared.versions import ShortJobMessage
from tests.edge_api import rows
from tests.edge_api.conftest import EAGER, StartService
from tests.edge_api.rows import NOW

UNREAD = RunpodJob(
    RunpodStatus.FAILED,
    error=msgspec.Raw(b'"UNSUPPORTED_SCHEMA: this worker reads schema_version 1, not 2"'),
)


def refuse(connection: Connection, dispatch: Dispatch, now: float = NOW) -> Lost | None:
    return apply_status(connection, dispatch, UNREAD, Policy(), now)


@pytest.mark.parametrize(
    ("variables", "version", "kind"),
    [
        ({}, 1, JobMessage),
        ({"JOB_SCHEMA_VERSION": "1"}, 1, JobMessage),
        ({"JOB_SCHEMA_VERSION": "2"}, 2, ShortJobMessage),
    ],
    ids=["unset", "1", "2"],
)
def test_the_version_that_is_asked_for_is_sent(
    start: StartService,
    variables: dict[str, str],
    version: int,
    kind: type[JobMessage | ShortJobMessage],
) -> None:
    service = start(**variables)
    job_id = service.phone().queued_job(2)
    sent = service.runpod.wait_for_run(job_id)
    assert sent["schema_version"] == version
    assert [item.idx for item in msgspec.convert(sent, kind).items] == [0, 1]
    assert [item["input_etag"] for item in sent["items"]] != [None, None]
    assert ("input_key" in sent["items"][0]) is (version == 1)


def test_a_worker_that_cannot_read_it_is_no_strike(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection)
    assert refuse(connection, dispatch) == Lost("message not read", again=True)
    first, second = rows.dispatches(connection, job_id)
    assert (first["state"], first["last_error"]) == ("superseded", "message not read")
    assert (second["state"], second["strikes"], second["tries"]) == ("new", 0, 1)
    assert (second["created_at"], second["next_at"]) == (NOW, NOW + 1)


def test_it_waits_longer_and_longer_and_is_refunded_at_last(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection)
    owner = rows.job(connection, job_id)
    now, waits = NOW, list[float]()
    while (lost := refuse(connection, dispatch, now)) is not None and lost.again:
        waits.append(rows.dispatches(connection, job_id)[-1]["next_at"] - now)
        assert rows.credits_of(connection, owner.user_id) == 8
        now += waits[-1]
        dispatch = rows.submit(connection, job_id, now)
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(waits) == UNREAD_TRIES - 1
    assert now - NOW > 25 * 60
    assert rows.credits_of(connection, owner.user_id) == 10
    (letter,) = list_dead_letters(connection)
    assert (letter.code, letter.reason) == (NOT_DISPATCHED.code, "message not read")


def test_other_failures_are_strikes_whatever_they_repeat(connection: Connection) -> None:
    job_id, dispatch = rows.submitted(connection)
    told = msgspec.Raw(b'"INVALID_INPUT: field UNSUPPORTED_SCHEMA: is missing"')
    answer = RunpodJob(RunpodStatus.FAILED, error=told)
    assert apply_status(connection, dispatch, answer, Policy(), NOW) == Lost("failed", again=True)
    assert rows.dispatches(connection, job_id)[-1]["strikes"] == 1


def test_a_job_outlasts_workers_of_the_version_before(start: StartService) -> None:
    """The wrong order: the API first. The worker that comes at last gets all of the job."""
    service = start(intervals=EAGER, JOB_SCHEMA_VERSION="2", DISPATCH_BACKOFF_MAX_SEC="0.1")
    phone = service.phone()
    job_id = phone.queued_job(2)
    for attempt in range(1, 5):
        runpod_id = service.runpod.runpod_id(service.runpod.wait_for_run(job_id, attempt))
        failed = {"id": runpod_id, "status": "FAILED", "error": msgspec.json.decode(UNREAD.error)}
        service.runpod.statuses[runpod_id] = httpx.Response(200, json=failed)
        submitted = "SELECT id FROM dispatches WHERE attempt = :attempt AND state = 'submitted'"
        service.wait_until(submitted, attempt=attempt)
        service.change("UPDATE dispatches SET next_at = 0 WHERE state = 'submitted'")
    assert phone.credits() == 8
    sent = service.runpod.wait_for_run(job_id, 5)
    assert [item["idx"] for item in sent["items"]] == [0, 1]
    assert phone.job(job_id)["status"] == "queued"
    assert service.rows("SELECT id FROM dead_letters") == []
