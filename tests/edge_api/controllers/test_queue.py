"""The routes from which workers pull: who may, who gets what, and what a lease is worth."""

import json
import re
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from edge_api.asgi import create_app
from edge_api.controllers.examples import ANSWERS, BODIES
from edge_api.settings import Settings
from infra.local.store import ServedStore
from shared.objects import ObjectStore
from shared.queue import MAX_OUTPUT_BYTES
from tests.edge_api.conftest import EAGER, Launch, MakeDatabase
from tests.edge_api.documents import Documented, document
from tests.edge_api.phone import Phone
from tests.edge_api.runpod_double import RunpodDouble
from tests.edge_api.service import Service, environment, open_engine
from tests.edge_api.serving import serve
from tests.edge_api.worker import Worker

Json = dict[str, Any]

TOKEN = "a-token-of-the-queue-alone-" + "q" * 32
OLD_TOKEN = "the-token-before-that-one-" + "o" * 32

QUEUE = {"DISPATCH": "queue", "QUEUE_TOKEN": f"{TOKEN}, {OLD_TOKEN}", "RUNPOD_API_KEY": ""}

CALLS: dict[str, Json] = {
    "/queue/lease": {"worker": "pod-1"},
    "/queue/queued_x/renew": {"lease": "x"},
    "/queue/queued_x/finish": {"lease": "x", "output": {}},
}

Serve = Callable[[str], AbstractContextManager[Service]]


class Pod:
    """A worker as it speaks to the API."""

    def __init__(self, service: Service, name: str = "pod-1", token: str = TOKEN) -> None:
        self._service = service
        self._name = name
        self._headers = {"Authorization": f"Bearer {token}"}

    def call(self, path: str, body: object, **options: Any) -> httpx.Response:
        return self._service.api.post(path, json=body, headers=self._headers, **options)

    def data(self, path: str, body: object) -> Any:
        response = self.call(path, body)
        assert response.is_success, response.text
        return response.json()["data"]

    def lease(self, wait: float = 0.0) -> Json | None:
        return self.data("/queue/lease", {"worker": self._name, "wait": wait})["job"]

    def take(self, job_id: str) -> Json:
        """That one, which is there or about to be."""
        while True:
            job = self.lease(wait=5.0)
            assert job is not None
            if job["input"]["job_id"] == job_id:
                return job

    def renew(self, job: Json) -> Json:
        return self.data(f"/queue/{job['id']}/renew", {"lease": job["lease"]})

    def finish(self, job: Json, **word: object) -> Json:
        return self.data(f"/queue/{job['id']}/finish", {"lease": job["lease"], **word})

    def handler(self, job: Json) -> Worker:
        """What reports the photos of that job."""
        secret = self._service.settings.callback_secrets[0].reveal()
        return Worker(self._service.api, job["input"], secret)


@pytest.fixture(scope="module")
def shared_queue(launch: Launch, make_database: MakeDatabase) -> Generator[Service]:
    with launch(make_database("sqlite"), intervals=EAGER, **QUEUE) as service:
        service.api.event_hooks = {"response": [_documented(service).check]}
        yield service
        service.assert_balanced()


def _documented(service: Service) -> Documented:
    api: Any = service.api
    return Documented(document(api.app))


@pytest.fixture
def queue(shared_queue: Service) -> Generator[Service]:
    """What a test leaves in the queue is no other test's."""
    yield shared_queue
    shared_queue.change("UPDATE dispatches SET next_at = 4e9 WHERE state = 'submitted'")
    shared_queue.change(
        "UPDATE queued_jobs SET state = 'CANCELLED', ended_at = 1 WHERE ended_at IS NULL"
    )


@pytest.fixture
def pod(queue: Service) -> Pod:
    return Pod(queue)


@pytest.fixture
def served(store: ServedStore, objects: ObjectStore) -> Serve:
    """The service behind a real server, for calls at the same time."""

    @contextmanager
    def run(url: str) -> Generator[Service]:
        settings = Settings.from_env(environment(store, url) | QUEUE)
        app = create_app(settings, objects=objects, intervals=EAGER)
        engine = open_engine(url)
        limits = httpx.Limits(max_connections=40)
        with (
            serve(app) as address,
            httpx.Client(base_url=address, trust_env=False, limits=limits, timeout=20) as api,
        ):
            yield Service(api, RunpodDouble(), settings, engine)
        engine.dispose()

    return run


def look_now(service: Service) -> None:
    """The reconciler would a second or two later."""
    service.change("UPDATE dispatches SET next_at = 1 WHERE state = 'submitted'")


def queued(service: Service, job_id: str) -> list[Json]:
    rows = service.rows("SELECT * FROM queued_jobs ORDER BY created_at")
    return [row for row in rows if job_id in str(row["payload"])]


def test_a_job_is_leased_worked_on_and_brought_back(queue: Service, pod: Pod) -> None:
    phone = queue.phone()
    job_id = phone.queued_job(2)
    job = pod.take(job_id)
    assert (job["input"]["job_id"], len(job["input"]["items"])) == (job_id, 2)
    assert (job["lease_seconds"], job["execution_seconds"]) == (60.0, 360.0)
    assert pod.lease() is None
    assert pod.renew(job) == {"lease_seconds": 60.0, "canceled": False}
    worker = pod.handler(job)
    assert worker.report(0).is_success
    assert phone.job(job_id)["status"] == "running"

    summary = worker.summary(worker.result(0), worker.result(1))
    assert pod.finish(job, output=summary) == {"accepted": True}

    look_now(queue)
    queue.wait_until("SELECT id FROM jobs WHERE id = :job AND status = 'done'", job=job_id)
    assert phone.statuses(job_id) == ["done", "done"]
    assert [row["state"] for row in queued(queue, job_id)] == ["COMPLETED"]
    assert not queue.runpod.requests


def test_an_error_is_a_strike_and_the_next_worker_gets_what_is_missing(
    queue: Service, pod: Pod
) -> None:
    job_id = queue.phone().queued_job(2)
    job = pod.take(job_id)
    assert pod.handler(job).report(0).is_success
    assert pod.finish(job, error="INTERNAL_ERROR: canary") == {"accepted": True}
    look_now(queue)
    again = Pod(queue, "pod-2").take(job_id)
    assert (again["input"]["job_id"], again["input"]["attempt"]) == (job_id, 2)
    assert [item["idx"] for item in again["input"]["items"]] == [1]


@pytest.mark.parametrize("path", CALLS)
def test_without_the_token_nothing_is_told(queue: Service, path: str) -> None:
    def code(authorization: bytes | None = None) -> str:
        headers = {} if authorization is None else {b"Authorization": authorization}
        response = queue.api.post(path, json=CALLS[path], headers=headers)
        assert response.status_code == 401
        return response.json()["error"]["code"]

    assert code() == "AUTH_REQUIRED"
    for wrong in ("", "x" * 40, TOKEN[:-1], TOKEN + "q", "토큰", queue.phone().token):
        assert code(f"Bearer {wrong}".encode()) == "TOKEN_INVALID"
    assert code(f"Basic {TOKEN}".encode()) == "TOKEN_INVALID"


def test_the_token_before_still_opens_and_opens_nothing_else(queue: Service) -> None:
    assert Pod(queue, token=OLD_TOKEN).lease() is None
    response = Phone(queue.api, TOKEN).call("GET", "/me")
    assert response.json()["error"]["code"] == "TOKEN_INVALID"


@pytest.mark.parametrize("path", CALLS)
def test_where_runpod_has_the_jobs_there_is_no_queue(service: Service, path: str) -> None:
    response = Pod(service).call(path, CALLS[path])
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"worker": ""},
        {"worker": "pod 1"},
        {"worker": "pod\0"},
        {"worker": "p" * 129},
        {"worker": "pod-1", "wait": 21},
        {"worker": "pod-1", "wait": -1},
        {"worker": "pod-1", "wait": "long"},
    ],
    ids=repr,
)
def test_what_does_not_fit_is_named(pod: Pod, body: Json) -> None:
    response = pod.call("/queue/lease", body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"


def test_it_waits_for_as_long_as_it_was_asked_to(pod: Pod) -> None:
    began = time.monotonic()
    assert pod.lease(wait=0.2) is None
    assert 0.2 <= time.monotonic() - began < 1.0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_many_that_wait_one_gets_the_job_and_others_are_served(
    served: Serve, make_database: MakeDatabase, kind: str
) -> None:
    """More of them than there are connections to the database."""
    found = threading.Event()

    def ask_on(pod: Pod) -> Json | None:
        job = None
        while job is None and not found.is_set():
            job = pod.lease(wait=0.7)
        found.set()
        return job

    with served(make_database(kind)) as service, ThreadPoolExecutor(16) as threads:
        waiting = [threads.submit(ask_on, Pod(service, f"pod-{n}")) for n in range(16)]
        time.sleep(0.3)
        phone = service.phone()
        job_id = phone.queued_job(1)
        assert phone.job(job_id)["status"] == "queued"
        had = [job for job in (call.result() for call in waiting) if job is not None]
        assert [job["input"]["job_id"] for job in had] == [job_id]
        workers = service.rows("SELECT COUNT(*) AS many FROM queue_workers")
        assert workers == [{"many": 16}]


def test_nothing_is_given_to_a_worker_that_hung_up(
    served: Serve, make_database: MakeDatabase
) -> None:
    with served(make_database("sqlite")) as service:
        with pytest.raises(httpx.ReadTimeout):
            Pod(service, "pod-1").call("/queue/lease", {"worker": "pod-1", "wait": 10}, timeout=0.3)
        job_id = service.phone().queued_job(1)
        assert Pod(service, "pod-2").take(job_id)


def test_a_worker_hears_that_its_job_was_canceled(queue: Service, pod: Pod) -> None:
    phone = queue.phone()
    job_id = phone.queued_job(1)
    job = pod.take(job_id)
    phone.cancel(job_id)
    queue.wait_until(
        "SELECT id FROM queued_jobs WHERE id = :id AND state = 'CANCELLED'", id=job["id"]
    )
    assert pod.renew(job) == {"lease_seconds": 0.0, "canceled": True}
    assert pod.finish(job, output={}) == {"accepted": False}
    assert queued(queue, job_id)[0]["output"] is None


def test_a_finish_that_is_repeated_changes_nothing(queue: Service, pod: Pod) -> None:
    job_id = queue.phone().queued_job(1)
    job = pod.take(job_id)
    worker = pod.handler(job)
    first = worker.summary(worker.result(0))
    assert pod.finish(job, output=first) == pod.finish(job, error="another word")
    (row,) = queued(queue, job_id)
    assert (row["state"], row["error"], json.loads(row["output"])) == ("COMPLETED", None, first)


@pytest.mark.parametrize("verb", ["renew", "finish"])
def test_a_lease_that_is_another_s_over_or_unknown_is_refused(
    queue: Service, pod: Pod, verb: str
) -> None:
    job_id = queue.phone().queued_job(1)
    job = pod.take(job_id)

    def refused(job_id: str, lease: str) -> bool:
        response = pod.call(f"/queue/{job_id}/{verb}", {"lease": lease})
        return (response.status_code, response.json()["error"]["code"]) == (409, "SUPERSEDED")

    assert refused(job["id"], "another")
    assert refused("queued_nope", job["lease"])
    assert refused("%2e%2e%00", job["lease"])
    queue.change("UPDATE queued_jobs SET lease_until = 1 WHERE id = :id", id=job["id"])
    assert refused(job["id"], job["lease"])
    queue.wait_until("SELECT id FROM queued_jobs WHERE id = :id AND state = 'FAILED'", id=job["id"])
    assert refused(job["id"], job["lease"])


def test_an_output_may_be_larger_than_other_bodies_and_not_without_end(
    queue: Service, pod: Pod
) -> None:
    job_id = queue.phone().queued_job(1)
    job = pod.take(job_id)
    path = f"/queue/{job['id']}/finish"
    body = {"lease": job["lease"], "output": {"padding": "x" * MAX_OUTPUT_BYTES}}
    assert pod.call(path, body).status_code == 413
    body["output"] = {"padding": "x" * 1024 * 1024}
    assert pod.call(path, body).status_code == 200
    assert pod.call("/queue/lease", {"worker": "p", "x": "x" * 300_000}).status_code == 413


def test_who_leaves_is_in_no_queue(queue: Service, pod: Pod) -> None:
    phone = queue.phone()
    job_id = phone.queued_job(1)
    job = pod.take(job_id)
    assert job["id"] not in phone.call("GET", "/me/export").text
    erased = phone.data("DELETE", "/me")
    assert erased["rows"]["queued_jobs"] == 1
    assert phone.user_id not in str(queue.rows("SELECT * FROM queued_jobs"))
    response = pod.call(f"/queue/{job['id']}/renew", {"lease": job["lease"]})
    assert response.status_code == 409
    assert not pod.handler(job).report(0).is_success


def test_the_document_describes_the_calls(queue: Service) -> None:
    served = queue.api.get("/docs/openapi.json").json()
    calls = {path: methods["post"] for path, methods in served["paths"].items() if "queue" in path}
    assert set(calls) == {"/queue/lease", "/queue/{queued_id}/renew", "/queue/{queued_id}/finish"}
    assert served["components"]["securitySchemes"]["queueToken"]["scheme"] == "bearer"
    for call in calls.values():
        name = call["operationId"]
        assert call["security"] == [{"queueToken": []}]
        assert {"200", "400", "401", "413", "415", "500", "503"} <= set(call["responses"])
        answer = call["responses"]["200"]["content"]["application/json"]["example"]["data"]
        assert answer == msgspec.to_builtins(ANSWERS[name])
        body = call["requestBody"]["content"]["application/json"]["example"]
        assert msgspec.convert(body, type(BODIES[name])) == BODIES[name]
    assert all(re.fullmatch("[A-Za-z]+", name) for name in served["components"]["schemas"])
