"""What a caller of the emulated service is told."""

import threading

import httpx
import pytest

from infra.local.runpod.serving import RunningRunpod
from infra.local.runpod.settings import RUN_BODY_LIMIT
from tests.infra.runpod.calls import API_KEY, WORKER_KEY, finish, run, status, take


def test_a_job_goes_through_the_documented_answers(
    caller: httpx.Client, worker: httpx.Client
) -> None:
    body = {"policy": {"executionTimeout": 60_000, "ttl": 600_000}, "webhook": None}
    job_id = run(caller, body, photo="a.jpg")
    assert job_id.endswith("-u1")
    assert take(worker) == {
        "id": job_id,
        "input": {"photo": "a.jpg"},
        "policy": {"executionTimeout": 60_000, "ttl": 600_000, "lowPriority": None},
    }
    assert status(caller, job_id).keys() == {"id", "status", "delayTime", "workerId"}
    assert finish(worker, job_id, {"output": {"items": []}}).status_code == 200
    ended = status(caller, job_id)
    assert ended.pop("delayTime") >= 0
    assert ended.pop("executionTime") >= 0
    assert ended == {
        "id": job_id,
        "status": "COMPLETED",
        "output": {"items": []},
        "workerId": "w1",
    }
    assert caller.post(f"/status/{job_id}").json()["status"] == "COMPLETED"
    assert caller.get("/health").json()["jobs"]["completed"] == 1


@pytest.mark.parametrize("key", [None, "", "Bearer wrong", WORKER_KEY, "Bearer é"])
@pytest.mark.parametrize("call", ["POST /run", "GET /status/x", "GET /health", "GET /_control"])
def test_a_caller_without_the_key_is_refused(
    runpod: RunningRunpod, key: str | None, call: str
) -> None:
    method, path = call.split()
    base = runpod.url if path == "/_control" else f"{runpod.base_url}/ep"
    headers = [] if key is None else [(b"Authorization", key.encode())]
    with httpx.Client(trust_env=False) as client:
        answer = client.request(method, base + path, headers=httpx.Headers(headers))
    assert answer.status_code == 401
    assert answer.json() == {"error": "unauthorized"}


def test_the_bare_key_is_accepted_too(runpod: RunningRunpod) -> None:
    headers = {"Authorization": API_KEY}
    url = f"{runpod.base_url}/ep/health"
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 200


@pytest.mark.parametrize("call", ["GET /status", "POST /cancel", "POST /retry", "GET /stream"])
def test_an_unknown_job_is_not_found(caller: httpx.Client, call: str) -> None:
    method, path = call.split()
    answer = caller.request(method, f"{path}/no-such-job")
    assert (answer.status_code, answer.json()) == (404, {"error": "job not found"})


@pytest.mark.parametrize("body", [b"", b"{", b'{"prompt": 1}', b'{"input": "text"}'])
def test_a_malformed_body_is_400(caller: httpx.Client, body: bytes) -> None:
    answer = caller.post("/run", content=body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error"}
    assert caller.get("/health").json()["jobs"]["inQueue"] == 0


def test_bodies_have_the_documented_limits(caller: httpx.Client) -> None:
    too_large = b'{"input": {"x": "' + b"x" * RUN_BODY_LIMIT + b'"}}'
    assert caller.post("/run", content=too_large).status_code == 413
    assert caller.post("/runsync?wait=1000", content=too_large).json()["status"] == "IN_QUEUE"


def test_runsync_answers_with_the_result(caller: httpx.Client, worker: httpx.Client) -> None:
    def work() -> None:
        finish(worker, take(worker)["id"], {"output": 7})

    thread = threading.Thread(target=work)
    thread.start()
    answer = caller.post("/runsync", json={"input": {}}).json()
    thread.join()
    assert (answer["status"], answer["output"]) == ("COMPLETED", 7)
    assert answer["id"].startswith("sync-")


def test_streamed_chunks_are_read_once(caller: httpx.Client, worker: httpx.Client) -> None:
    job_id = run(caller)
    take(worker)
    for chunk in (1, {"two": 2}):
        worker.post(f"/job-stream/w1/{job_id}?isStream=false", json={"output": chunk})
    first = caller.get(f"/stream/{job_id}").json()
    assert first == {"status": "IN_PROGRESS", "stream": [{"output": 1}, {"output": {"two": 2}}]}
    assert caller.get(f"/stream/{job_id}").json()["stream"] == []


def test_purging_and_retrying(caller: httpx.Client, worker: httpx.Client) -> None:
    failed = run(caller)
    finish(worker, take(worker)["id"], {"error": "no"})
    run(caller)
    assert caller.post("/purge-queue").json() == {"removed": 1, "status": "completed"}
    assert caller.post(f"/retry/{failed}").json() == {"id": failed, "status": "IN_QUEUE"}
    assert caller.post(f"/retry/{failed}").status_code == 400
    assert take(worker)["id"] == failed


def test_injected_answers_to_run(runpod: RunningRunpod, caller: httpx.Client) -> None:
    runpod.control(run_errors=2, run_error_status=429)
    answers = [caller.post("/run", json={"input": {}}).status_code for _ in range(3)]
    assert answers == [429, 429, 200]
    assert caller.get("/health").json()["jobs"]["inQueue"] == 1


def test_run_can_accept_and_never_answer(runpod: RunningRunpod, caller: httpx.Client) -> None:
    runpod.control(run_hangs=1)
    with pytest.raises(httpx.ReadTimeout):
        caller.post("/run", json={"input": {}}, timeout=0.3)
    assert caller.get("/health").json()["jobs"]["inQueue"] == 1


def test_unknown_faults_are_refused(runpod: RunningRunpod) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        runpod.control(drop_everything=1)
