"""What a scrape says of the endpoint: its workers, and how long attempts wait to begin."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from edge_api.clients.runpod import RunpodTransient, Workers
from edge_api.services.cached import Ages
from edge_api.services.counters import Counters
from edge_api.services.metrics import Access, Metrics
from edge_api.storage.addresses import open_database
from tests.edge_api.conftest import Launch, MakeDatabase, StartService
from tests.edge_api.controllers.test_metrics import (
    EAGER,
    FRESH,
    ONCE,
    WOKEN,
    samples,
    scrape,
    wait_for,
)
from tests.edge_api.service import Service
from tests.edge_api.worker import Worker

BEGUN = "palette_dispatch_begin_seconds"


def workers(found: dict[str, float]) -> dict[str, float]:
    """By state."""
    family = "palette_endpoint_workers"
    return {name.split('"')[1]: count for name, count in found.items() if name.startswith(family)}


@ONCE
def test_workers_by_state(start: StartService) -> None:
    service = start(intervals=WOKEN)
    service.runpod.workers = {"idle": 1, "running": 2, "throttled": 3, "of a new kind": 4}
    expected = {"idle": 1, "initializing": 0, "ready": 0, "running": 2, "throttled": 3}
    assert workers(scrape(service)) == {**expected, "unhealthy": 0}


@ONCE
def test_runpod_is_asked_at_most_every_fifteen_seconds(start: StartService) -> None:
    assert Ages().workers >= 15.0
    service = start()
    for _ in range(5):
        scrape(service)
    asked = [r for r in service.runpod.requests if r.url.path.endswith("/health")]
    assert len(asked) == 1


def test_workers_are_absent_while_nobody_knows(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Workers | RunpodTransient] = [
        Workers(idle=1),
        RunpodTransient("GET answered 503"),
        Workers(idle=2),
    ]

    async def ask() -> Workers:
        answer = answers.pop(0)
        if isinstance(answer, RunpodTransient):
            raise answer
        return answer

    async def run() -> list[dict[str, float]]:
        database = open_database(make_database("sqlite"))
        access = Access(public=True)
        metrics = Metrics(database, "endpoint1", Counters("1.0"), access, FRESH, workers=ask)
        try:
            return [samples((await metrics.expose()).decode()) for _ in range(3)]
        finally:
            await metrics.close()
            await database.close()

    told = asyncio.run(run())
    assert [workers(found).get("idle") for found in told] == [1, None, 2]
    readable = 'palette_figures_readable{figures="workers"}'
    assert [found[readable] for found in told] == [1, 0, 1]
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.__dict__["reason"] == "GET answered 503"


def taken(service: Service, ago: float) -> str:
    """A job that Runpod took so many seconds ago, and that has not begun."""
    job_id = service.phone().queued_job(2)
    state = "SELECT id FROM dispatches WHERE job_id = :job AND state = 'submitted'"
    service.wait_until(state, job=job_id)
    back = "UPDATE dispatches SET submitted_at = submitted_at - :ago WHERE job_id = :job"
    service.change(back, ago=ago, job=job_id)
    return job_id


def test_the_first_report_says_how_long_an_attempt_waited(start: StartService) -> None:
    service = start(intervals=WOKEN)
    worker = service.worker(taken(service, 40.0))
    assert scrape(service)[f"{BEGUN}_count"] == 0
    assert worker.send({"idx": 2}).status_code == 400
    assert worker.processed(0)
    assert not worker.processed(0)
    assert worker.processed(1)
    found = scrape(service)
    buckets = {edge: found[f'{BEGUN}_bucket{{le="{edge}"}}'] for edge in ("30.0", "60.0", "+Inf")}
    assert buckets == {"30.0": 0, "60.0": 1, "+Inf": 1}
    assert 40.0 <= found[f"{BEGUN}_sum"] < 60.0


def test_runpod_s_word_is_a_first_sign_as_well(start: StartService) -> None:
    service = start(intervals=EAGER)
    job_id = taken(service, 100.0)
    worker = service.worker(job_id)
    service.runpod.tell(service.runpod.runpod_id(worker.message), "IN_PROGRESS")
    service.change("UPDATE dispatches SET next_at = 0")
    wait_for(service, f"{BEGUN}_count", 1)
    assert worker.processed(0)
    service.change("UPDATE dispatches SET next_at = 0")
    service.wait_until("SELECT id FROM dispatches WHERE next_at > 0")
    found = scrape(service)
    assert (found[f"{BEGUN}_count"], found[f'{BEGUN}_bucket{{le="90.0"}}']) == (1, 0)


def test_two_processes_count_one_beginning(launch: Launch, database_url: str) -> None:
    with (
        launch(database_url, intervals=WOKEN) as first,
        launch(database_url, intervals=WOKEN) as second,
    ):
        secret = second.settings.callback_secrets[0].reveal()
        for _ in range(5):
            worker = first.worker(taken(first, 1.0))
            beside = Worker(second.api, worker.message, secret)
            together = Barrier(2)

            def report(who: Worker, idx: int, together: Barrier = together) -> bool:
                together.wait(5)
                return who.processed(idx)

            with ThreadPoolExecutor(2) as pool:
                assert all(pool.map(report, (worker, beside), (0, 1)))
        counts = [scrape(service)[f"{BEGUN}_count"] for service in (first, second)]
        assert sum(counts) == 5


def test_an_attempt_of_which_nobody_knows_when_it_was_taken_is_not_counted(
    start: StartService,
) -> None:
    service = start(intervals=WOKEN)
    worker = service.worker(taken(service, 1.0))
    service.change("UPDATE dispatches SET state = 'uncertain', submitted_at = NULL")
    assert worker.processed(0)
    assert worker.processed(1)
    assert scrape(service)[f"{BEGUN}_count"] == 0
