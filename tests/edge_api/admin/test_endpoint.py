"""`python -m edge_api admin endpoint`, as an operator types it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from infra.local.runpod.serving import RunningRunpod, serve_runpod
from infra.local.runpod.settings import RunpodSettings
from infra.local.store import ServedStore
from tests.edge_api.admin.test_admin import Operator
from tests.edge_api.conftest import WOKEN, StartService
from tests.edge_api.service import environment

IDLE = {"idle": 0, "initializing": 0, "ready": 0, "running": 0, "throttled": 0, "unhealthy": 0}


@pytest.fixture(scope="module")
def runpod() -> Iterator[RunningRunpod]:
    with serve_runpod(RunpodSettings(api_key="runpod-api-key", worker_key="w" * 32)) as running:
        yield running


@pytest.fixture
def operator(
    store: ServedStore,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    runpod: RunningRunpod,
) -> Operator:
    return at(f"{runpod.base_url}", store, database_url, capsys)


def at(
    url: str, store: ServedStore, database: str, capsys: pytest.CaptureFixture[str], **more: str
) -> Operator:
    """Whose endpoint is there."""
    return Operator(environment(store, database) | {"RUNPOD_BASE_URL": url} | more, capsys)


def test_an_endpoint_that_did_nothing_yet(start: StartService, operator: Operator) -> None:
    start()
    shown = operator.told("endpoint", "show")
    assert set(shown.pop("dispatches").values()) == {0}
    assert shown == {
        "endpoint_id": "endpoint1",
        "breaker": {"state": "closed", "failures": 0, "open_seconds": 0.0, "last_error": None},
        "workers": IDLE,
        "oldest_waiting_seconds": None,
        "last": {"taken": None, "begun": None, "done": None},
    }


def test_what_it_did_last_and_what_waits(start: StartService, operator: Operator) -> None:
    service = start(intervals=WOKEN)
    job_id = service.phone().queued_job(2)
    worker = service.worker(job_id)
    service.wait_until("SELECT id FROM dispatches WHERE state = 'submitted'")
    shown = operator.told("endpoint", "show")["last"]
    assert (shown["begun"], shown["done"]) == (None, None)
    assert worker.processed(0)
    service.runpod.answers.append(httpx.Response(429))
    service.phone().queued_job(1)
    service.wait_until("SELECT id FROM dispatches WHERE state = 'new' AND tries = 1")
    service.change("UPDATE dispatches SET created_at = created_at - 100 WHERE state = 'new'")
    shown = operator.told("endpoint", "show")
    assert (shown["dispatches"]["submitted"], shown["dispatches"]["new"]) == (1, 1)
    assert 100 <= shown["oldest_waiting_seconds"] < 160
    for moment in shown["last"].values():
        ago = datetime.now(UTC) - datetime.fromisoformat(moment)
        assert timedelta() <= ago < timedelta(seconds=60)
    assert shown["breaker"]["failures"] == 1
    assert shown["breaker"]["state"] == "closed"


def test_a_breaker_is_closed_by_hand(start: StartService, operator: Operator) -> None:
    service = start(BREAKER_PAUSE_SEC="1000")
    service.runpod.answers.append(httpx.Response(401))
    job_id = service.phone().queued_job(1)
    service.wait_until("SELECT id FROM endpoints WHERE open_until > 0")
    breaker = operator.told("endpoint", "show")["breaker"]
    assert (breaker["state"], breaker["last_error"]) == ("open", "POST answered 401")
    assert breaker["failures"] >= 5
    assert 900 < breaker["open_seconds"] <= 1000
    service.change("UPDATE endpoints SET open_until = 1")
    assert operator.told("endpoint", "show")["breaker"]["state"] == "trying"
    service.change("UPDATE endpoints SET open_until = 4e9")
    closed = operator.told("endpoint", "close-breaker")["breaker"]
    assert (closed["state"], closed["failures"], closed["last_error"]) == ("closed", 0, None)
    assert operator.told("endpoint", "close-breaker")["breaker"] == closed
    service.change("UPDATE dispatches SET next_at = 0")
    service.phone().queued_job(1)  # wakes the dispatcher
    assert service.runpod.wait_for_run(job_id)


def test_why_nobody_knows_its_workers(
    start: StartService,
    runpod: RunningRunpod,
    store: ServedStore,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start()
    told = {
        "http://127.0.0.1:9/v2": "Not known: Runpod did not say (GET failed: ConnectError).",
        f"{runpod.url}/nowhere": "Not known: Runpod has no endpoint endpoint1 (GET answered 404).",
    }
    for url, sentence in told.items():
        operator = at(url, store, database_url, capsys)
        assert operator.told("endpoint", "show")["workers"] == sentence
    stranger = at(f"{runpod.base_url}", store, database_url, capsys, RUNPOD_API_KEY="another-key")
    sentence = "Not known: Runpod does not accept RUNPOD_API_KEY (GET answered 401)."
    assert stranger.told("endpoint", "show")["workers"] == sentence


def test_what_it_does_not_understand(operator: Operator) -> None:
    assert "required" in operator.refused("endpoint")
    assert "invalid choice" in operator.refused("endpoint", "open-breaker")
