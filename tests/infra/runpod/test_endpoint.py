"""The emulator's state machine alone, with a clock of the test's own."""

from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from infra.local.runpod.endpoint import Endpoint
from infra.local.runpod.errors import (
    IllegalTransition,
    InvalidRequest,
    JobNotFound,
    NotRetryable,
)
from infra.local.runpod.faults import Faults
from infra.local.runpod.jobs import ENDED, TRANSITIONS, Job, JobStatus, advance, status_body
from infra.local.runpod.requests import DonePost, Policy, RunRequest, decode
from infra.local.runpod.settings import RunpodSettings

SETTINGS = RunpodSettings(
    api_key="a",
    worker_key="w",
    heartbeat_timeout=30,
    max_retries=2,
    execution_timeout=600,
    ttl=86_400,
    retention=1_800,
    sync_retention=60,
)
DONE = DonePost(output=Raw(b'{"fine":true}'))
WEEK_MS = 7 * 86_400_000
REQUEST = RunRequest(input=Raw(b"{}"))


@dataclass
class Lab:
    now: float = 1000.0
    faults: Faults = field(default_factory=Faults)
    ended: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.endpoint = Endpoint(
            SETTINGS, self.faults, lambda: self.now, on_end=lambda job: self.ended.append(job.id)
        )
        self.backlog = self.endpoint.backlog
        self.crew = self.endpoint.crew

    def submit(self, policy: Policy | None = None) -> Job:
        return self.backlog.submit(RunRequest(input=Raw(b"{}"), policy=policy))

    def running(self, worker: str = "w1", policy: Policy | None = None) -> Job:
        job = self.submit(policy)
        assert self.crew.take(worker, 1) == [job]
        return job

    def pass_time(self, seconds: float, alive: str = "") -> None:
        """In steps of a second, so that a worker that is `alive` has pinged all along."""
        for _ in range(int(seconds)):
            self.now += 1
            if alive:
                self.crew.ping(alive, [], healthy=True)
            self.endpoint.sweep()


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_a_job_runs_to_its_end(lab: Lab) -> None:
    job = lab.submit()
    assert status_body(job) == {"id": job.id, "status": "IN_QUEUE"}
    lab.now += 1.5
    assert lab.crew.take("w1", 1) == [job]
    lab.now += 2.25

    assert lab.crew.finish("w1", job.id, DONE)

    assert status_body(job) == {
        "id": job.id,
        "status": "COMPLETED",
        "delayTime": 1500,
        "executionTime": 2250,
        "output": Raw(b'{"fine":true}'),
        "workerId": "w1",
    }
    assert lab.ended == [job.id]
    assert lab.crew.stops("w1") == []


def test_jobs_are_taken_oldest_first_and_no_more_than_asked_for(lab: Lab) -> None:
    jobs = [lab.submit() for _ in range(5)]
    assert lab.crew.take("w1", 2) == jobs[:2]
    assert lab.crew.take("w2", 10) == jobs[2:]
    assert lab.crew.take("w1", 1) == []


@pytest.mark.parametrize(
    ("post", "status", "output", "error"),
    [
        (DonePost(output=Raw(b"null")), "COMPLETED", b"null", None),
        (DonePost(), "COMPLETED", None, None),
        (DonePost(error=Raw(b'"E"')), "FAILED", None, b'"E"'),
        (DonePost(output=Raw(b"[1]"), error=Raw(b'{"c":1}')), "FAILED", b"[1]", b'{"c":1}'),
        (DonePost(output=Raw(b"1"), error=Raw(b"null")), "COMPLETED", b"1", None),
    ],
)
def test_what_each_kind_of_result_becomes(
    lab: Lab, post: DonePost, status: str, output: bytes | None, error: bytes | None
) -> None:
    job = lab.running()
    lab.crew.finish("w1", job.id, post)
    assert job.status == status
    assert (job.output and bytes(job.output)) == output
    assert (job.error and bytes(job.error)) == error


def test_cancelling_a_waiting_job_keeps_it_from_every_worker(lab: Lab) -> None:
    job = lab.submit()
    assert lab.backlog.cancel(job.id).status is JobStatus.CANCELLED
    assert lab.crew.take("w1", 1) == []


def test_cancelling_a_running_job_tells_its_worker_once(lab: Lab) -> None:
    job = lab.running()
    lab.backlog.cancel(job.id)
    assert lab.crew.stops("w1") == [job.id]
    assert lab.crew.stops("w1") == []
    assert not lab.crew.finish("w1", job.id, DONE)
    assert job.status is JobStatus.CANCELLED


def test_a_worker_that_still_names_a_stopped_job_is_told_again(lab: Lab) -> None:
    job = lab.running()
    lab.backlog.cancel(job.id)
    lab.crew.stops("w1")
    lab.crew.ping("w1", [job.id], healthy=True)
    assert lab.crew.stops("w1") == [job.id]
    lab.crew.ping("w1", [], healthy=True)
    assert lab.crew.stops("w1") == []


def test_cancelling_what_has_ended_changes_nothing(lab: Lab) -> None:
    job = lab.running()
    lab.crew.finish("w1", job.id, DONE)
    assert lab.backlog.cancel(job.id).status is JobStatus.COMPLETED


def test_the_execution_timeout_counts_from_the_start(lab: Lab) -> None:
    job = lab.submit(Policy(execution_timeout=5_000))
    lab.pass_time(60)
    lab.crew.take("w1", 1)
    lab.pass_time(4)
    assert job.status is JobStatus.IN_PROGRESS
    lab.pass_time(1)
    assert job.status is JobStatus.TIMED_OUT
    assert lab.crew.stops("w1") == [job.id]
    assert not lab.crew.finish("w1", job.id, DONE)


@pytest.mark.parametrize("taken", [False, True])
def test_the_ttl_counts_from_submission_and_forgets_even_a_running_job(
    lab: Lab, taken: bool
) -> None:
    job = lab.submit(Policy(ttl=10_000))
    if taken:
        lab.crew.take("w1", 1)
    lab.now += 10
    with pytest.raises(JobNotFound):
        lab.backlog.find(job.id)  # also before the next sweep
    lab.endpoint.sweep()
    assert lab.crew.take("w2", 1) == []
    assert lab.crew.stops("w1") == ([job.id] if taken else [])


def test_an_ended_job_is_forgotten_after_its_retention(lab: Lab) -> None:
    job = lab.running()
    brief = lab.backlog.submit(REQUEST, sync=True)
    lab.crew.take("w1", 1)
    for finished in (job, brief):
        lab.crew.finish("w1", finished.id, DONE)
    lab.now += 60
    assert lab.backlog.find(job.id) is job
    assert lab.backlog.get(brief.id) is None
    lab.now += 1_740
    assert lab.backlog.get(job.id) is None
    with pytest.raises(JobNotFound):
        lab.backlog.retry(job.id)


def test_a_silent_worker_loses_its_job_to_another(lab: Lab) -> None:
    job = lab.running("w1")
    lab.pass_time(29)
    assert job.status is JobStatus.IN_PROGRESS
    lab.pass_time(1)
    assert job.status is JobStatus.IN_QUEUE
    assert lab.crew.take("w2", 1) == [job]

    assert not lab.crew.finish("w1", job.id, DonePost(output=Raw(b'"late"')))
    assert lab.crew.finish("w2", job.id, DONE)

    assert status_body(job)["workerId"] == "w2"
    assert status_body(job)["retries"] == 1
    assert job.output == Raw(b'{"fine":true}')


def test_a_worker_that_pings_keeps_its_job(lab: Lab) -> None:
    job = lab.running("w1")
    lab.pass_time(120, alive="w1")
    assert job.status is JobStatus.IN_PROGRESS


def test_a_job_that_no_worker_survives_fails(lab: Lab) -> None:
    job = lab.submit()
    for number in range(SETTINGS.max_retries + 1):
        assert lab.crew.take(f"w{number}", 1) == [job]
        lab.crew.lose(f"w{number}")
    assert job.status is JobStatus.FAILED
    assert job.retries == SETTINGS.max_retries
    assert lab.endpoint.health()["jobs"]["failed"] == 1


def test_a_worker_that_comes_back_is_stopped_before_it_gets_the_job_again(lab: Lab) -> None:
    job = lab.running("w1")
    lab.pass_time(30)
    lab.crew.ping("w1", [job.id], healthy=True)  # it was only paused, and still runs it

    assert lab.crew.take("w1", 1) == []
    assert lab.crew.stops("w1") == [job.id]
    assert not lab.crew.finish("w1", job.id, DonePost(output=Raw(b'"old copy"')))
    assert lab.crew.take("w1", 1) == [job]
    assert lab.crew.stops("w1") == []
    assert lab.crew.finish("w1", job.id, DONE)


def test_progress_shows_until_the_end_and_not_after_it(lab: Lab) -> None:
    job = lab.running()
    assert lab.crew.progress("w1", job.id, Raw(b'"half"'))
    assert status_body(job)["output"] == Raw(b'"half"')
    lab.crew.finish("w1", job.id, DONE)
    assert not lab.crew.progress("w1", job.id, Raw(b'"half"'))
    assert status_body(job)["output"] == Raw(b'{"fine":true}')


def test_retry_runs_a_failed_job_anew_under_its_id(lab: Lab) -> None:
    job = lab.running()
    with pytest.raises(NotRetryable):
        lab.backlog.retry(job.id)
    lab.crew.finish("w1", job.id, DonePost(error=Raw(b'"E"')))
    lab.backlog.retry(job.id)
    assert status_body(job) == {"id": job.id, "status": "IN_QUEUE", "retries": 1}
    assert lab.crew.take("w1", 1) == [job]


def test_purging_leaves_what_runs(lab: Lab) -> None:
    running = lab.running()
    waiting = [lab.submit(), lab.submit()]
    assert lab.backlog.purge() == 2
    assert running.status is JobStatus.IN_PROGRESS
    assert {job.status for job in waiting} == {JobStatus.CANCELLED}


def test_health_counts_jobs_and_workers(lab: Lab) -> None:
    lab.running("busy")
    lab.submit()
    lab.crew.ping("sick", [], healthy=False)
    lab.crew.ping("free", [], healthy=True)
    finished = lab.crew.take("busy", 1)[0]
    lab.crew.finish("busy", finished.id, DONE)
    lab.submit()
    assert lab.endpoint.health() == {
        "jobs": {"completed": 1, "failed": 0, "inProgress": 1, "inQueue": 1, "retried": 0},
        "workers": {
            "idle": 1,
            "initializing": 0,
            "ready": 2,
            "running": 1,
            "throttled": 0,
            "unhealthy": 1,
        },
    }
    lab.faults.throttled = True
    assert lab.endpoint.health()["workers"]["throttled"] == 1
    assert lab.crew.take("free", 1) == []
    lab.pass_time(30)
    assert sum(lab.endpoint.health()["workers"].values()) == 0


def test_a_worker_that_asked_to_be_stopped_gets_nothing_more(lab: Lab) -> None:
    job = lab.running()
    lab.crew.finish("w1", job.id, DonePost(output=Raw(b"1"), stop_pod=True))
    lab.submit()
    assert job.status is JobStatus.COMPLETED
    assert lab.crew.take("w1", 1) == []
    assert lab.crew.retired() == ["w1"]
    lab.crew.lose("w1")
    assert lab.crew.retired() == []


def test_a_double_delivery_counts_the_first_result_only(lab: Lab) -> None:
    lab.faults.duplicates = 1
    job = lab.running("w1")
    assert lab.crew.take("w2", 1) == [job]
    assert lab.crew.take("w3", 1) == []
    assert lab.crew.finish("w2", job.id, DonePost(output=Raw(b'"second"')))
    assert not lab.crew.finish("w1", job.id, DONE)
    assert job.output == Raw(b'"second"')
    assert len(lab.ended) == 1


def test_a_job_is_put_back_only_when_nobody_has_it_any_more(lab: Lab) -> None:
    lab.faults.duplicates = 1
    job = lab.running("w1")
    lab.crew.take("w2", 1)
    lab.crew.lose("w1")
    assert job.status is JobStatus.IN_PROGRESS
    lab.crew.lose("w2")
    assert job.status is JobStatus.IN_QUEUE


def test_no_step_is_taken_that_the_table_does_not_have() -> None:
    for start in JobStatus:
        for target in JobStatus:
            job = Job(id="j", request=REQUEST, created=0, execution_timeout=1, ttl=1, retention=1)
            job.status = start
            if target in TRANSITIONS[start]:
                advance(job, target)
                assert job.status is target
            else:
                with pytest.raises(IllegalTransition):
                    advance(job, target)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"input": null}',
        b'{"input": "text"}',
        b'{"input": {}, "policy": {"executionTimeout": 10}}',
        b'{"input": {}, "policy": {"ttl": 1e99}}',
        b'{"input": {}, "webhook": 5}',
        b'{"input": {"x": NaN}}',
        b"\xff\xfe",
    ],
)
def test_a_malformed_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(body, RunRequest)


class Bench(Lab):
    """A lab with workers that keep in hand what they were given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.jobs: list[Job] = []
        self.hands: dict[str, list[str]] = {"w1": [], "w2": [], "w3": []}
        self.begun = 0

    def do(self, name: str, worker: str, number: int) -> None:
        hand = self.hands[worker]
        match name:
            case "submit":
                self.jobs.append(self.submit(Policy(ttl=WEEK_MS)))
                self.begun += 1
            case "take":
                hand += [job.id for job in self.crew.take(worker, 2)]
            case "finish" | "fail" if hand:
                post = DONE if name == "finish" else DonePost(error=Raw(b'"E"'))
                self.crew.finish(worker, hand.pop(), post)
            case "ping":
                self.crew.ping(worker, hand, healthy=True)
            case "stops":
                stops = self.crew.stops(worker)
                hand[:] = [job_id for job_id in hand if job_id not in stops]
            case "lose":
                self.crew.lose(worker)
            case "duplicate":
                self.faults.duplicates += 1
            case _:
                self.do_to_job(name, number)

    def do_to_job(self, name: str, number: int) -> None:
        match name:
            case "cancel" if number < len(self.jobs):
                self.backlog.cancel(self.jobs[number].id)
            case "retry" if number < len(self.jobs):
                self.backlog.retry(self.jobs[number].id)
                self.begun += 1
            case "wait":
                self.now += 2.5**number  # from a second to more than an hour
                self.endpoint.sweep()
            case _:
                pass

    def check(self) -> None:
        waiting = self.backlog.waiting()
        assert len({job.id for job in waiting}) == len(waiting)
        for job in self.jobs:
            assert (job in waiting) == (job.status is JobStatus.IN_QUEUE)
            assert bool(job.holders) == (job.status is JobStatus.IN_PROGRESS)
            assert (job.ended is not None) == (job.status in ENDED)
        still_open = sum(not job.has_ended for job in self.jobs)
        assert len(self.ended) == self.begun - still_open


ACTIONS = [
    *("submit", "take", "finish", "fail", "ping", "stops", "lose"),
    *("duplicate", "cancel", "retry", "wait"),
]
EVENT = st.tuples(st.sampled_from(ACTIONS), st.sampled_from(["w1", "w2", "w3"]), st.integers(0, 9))


@given(st.lists(EVENT, max_size=60))
def test_no_order_of_events_loses_or_doubles_a_job(events: list[tuple[str, str, int]]) -> None:
    """Every job is in the queue, with a worker, or ended; it ends once for each time it began."""
    bench = Bench()
    for name, worker, number in events:
        with suppress(NotRetryable, JobNotFound):
            bench.do(name, worker, number)
        bench.check()
