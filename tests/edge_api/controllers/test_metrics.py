"""What Prometheus sees: right after a story, bounded, cheap, and no secret in it."""

import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import ascii_letters
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_api.asgi import Intervals
from edge_api.services import cached as cached_figures
from edge_api.services.cached import Ages, Cached
from edge_api.services.counters import Counters
from edge_api.services.loops import repeat
from edge_api.services.metrics import Access, Metrics
from edge_api.settings import Settings
from edge_api.storage.addresses import open_database
from infra.local.store import ServedStore
from shared.environment import SettingsError
from tests.edge_api.conftest import MakeDatabase, StartService
from tests.edge_api.phone import Phone
from tests.edge_api.runpod_double import PATIENCE
from tests.edge_api.service import Service, environment

ONCE = pytest.mark.parametrize("database_kind", ["sqlite"])
"""Nothing here depends on the database."""

FRESH = Ages(work=0.0, history=0.0, drift=0.0, sweeps=0.0, workers=0.0, rest=0.0)
WOKEN = Intervals(dispatch=60.0, reconcile=60.0, expire=60.0, figures=FRESH)
EAGER = Intervals(dispatch=0.05, reconcile=0.05, expire=60.0, figures=FRESH)


def page(service: Service, **headers: str) -> httpx.Response:
    """It is no answer in the envelope, which the client would check for."""
    hooks, service.api.event_hooks = service.api.event_hooks, {}
    try:
        return service.api.get("/metrics", headers=headers)
    finally:
        service.api.event_hooks = hooks


def samples(text: str) -> dict[str, float]:
    """By name and labels, as `palette_jobs{status="done"}`; labels in order of their names."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def scrape(service: Service) -> dict[str, float]:
    response = page(service)
    assert response.status_code == 200
    return samples(response.text)


def wait_for(service: Service, name: str, value: float) -> None:
    """What a background loop counts comes a moment after what it wrote."""
    deadline = time.monotonic() + PATIENCE
    while (seen := scrape(service).get(name, 0.0)) != value:
        assert time.monotonic() < deadline, f"{name} is {seen}"
        time.sleep(0.02)


def total(found: dict[str, float], family: str) -> float:
    return sum(value for name, value in found.items() if name.split("{")[0] == family)


def test_a_story_is_told_as_it_was(start: StartService) -> None:
    service = start(intervals=WOKEN)
    phone = service.phone()
    job_id = phone.queued_job(4)
    worker = service.worker(job_id)
    assert worker.processed(0)
    assert not worker.processed(0)
    assert worker.processed(1, "failed")
    assert worker.report(2, dispatch_id="another").status_code == 403
    assert worker.send({"idx": 2}).status_code == 400
    wait_for(service, 'palette_dispatch_submits_total{outcome="submitted"}', 1)
    found = scrape(service)
    expected = {
        'palette_jobs{status="running"}': 1,
        'palette_jobs{status="created"}': 0,
        'palette_items{status="pending"}': 2,
        'palette_items{status="done"}': 1,
        'palette_items{status="failed"}': 1,
        'palette_dispatches{state="submitted"}': 1,
        'palette_dispatches{state="ended"}': 0,
        'palette_callbacks_total{code="",outcome="processed"}': 2,
        'palette_callbacks_total{code="",outcome="repeated"}': 1,
        'palette_callbacks_total{code="CALLBACK_UNAUTHORIZED",outcome="refused"}': 1,
        'palette_callbacks_total{code="VALIDATION_ERROR",outcome="refused"}': 1,
        'palette_ledger_credits{kind="grant"}': 10,
        'palette_ledger_credits{kind="reserve"}': -4,
        'palette_ledger_credits{kind="refund"}': 0,
        "palette_ledger_drifting_users": 0,
        "palette_free_credits_today": 10,
        "palette_dead_letters_open": 0,
        "palette_breaker_open": 0,
        "palette_queue_age_seconds": 0,
        'palette_sweeps_pending{what="accounts"}': 0,
        "palette_free_credits_limit": 1_000_000,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert worker.processed(2, "failed")
    assert worker.processed(3)
    phone.cancel(phone.created_job(2))
    found = scrape(service)
    expected = {
        'palette_jobs{status="running"}': 0,
        'palette_jobs{status="done"}': 1,
        'palette_jobs{status="canceled"}': 1,
        'palette_items{status="pending"}': 0,
        'palette_items{status="done"}': 2,
        'palette_items{status="failed"}': 2,
        'palette_items{status="canceled"}': 2,
        'palette_dispatches{state="submitted"}': 0,
        'palette_dispatches{state="ended"}': 1,
        'palette_ledger_credits{kind="reserve"}': -6,
        'palette_ledger_credits{kind="refund"}': 4,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert total(found, "palette_ledger_credits") == phone.credits()


def test_every_fate_of_a_submit_is_counted(start: StartService) -> None:
    service = start(intervals=WOKEN, BREAKER_PAUSE_SEC="1000")
    outcomes = {
        "transient": httpx.Response(429),
        "ambiguous": httpx.ReadTimeout("lost"),
        "refused": httpx.Response(400),
        "denied": httpx.Response(401),
    }
    for outcome, answer in outcomes.items():
        service.runpod.answers.append(answer)
        service.phone().queued_job(2)
        wait_for(service, f'palette_dispatch_submits_total{{outcome="{outcome}"}}', 1)
        service.change("UPDATE dispatches SET next_at = 4e9")
    found = scrape(service)
    assert total(found, "palette_dispatch_submits_total") == 4
    expected = {
        'palette_attempts_lost_total{reason="not_dispatched",then="given_up"}': 1,
        "palette_dead_letters_open": 1,
        "palette_breaker_open": 1,
        'palette_jobs{status="failed"}': 1,
        'palette_dispatches{state="uncertain"}': 1,
        'palette_dispatches{state="new"}': 2,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert 0 < found["palette_queue_age_seconds"] < 60
    assert found["palette_breaker_failures"] >= 5


def test_lost_attempts_have_their_reason_and_what_follows(start: StartService) -> None:
    service = start(intervals=EAGER, MAX_ATTEMPTS="2")
    job_id = service.phone().queued_job(1)
    for attempt, then in ((1, "another"), (2, "given_up")):
        worker = service.worker(job_id, attempt)
        service.wait_until(
            "SELECT id FROM dispatches WHERE attempt = :attempt AND state = 'submitted'",
            attempt=attempt,
        )
        service.runpod.tell(service.runpod.runpod_id(worker.message), "FAILED")
        service.change("UPDATE dispatches SET next_at = 0")
        wait_for(service, f'palette_attempts_lost_total{{reason="failed",then="{then}"}}', 1)
    found = scrape(service)
    assert total(found, "palette_attempts_lost_total") == 2
    assert found["palette_dead_letters_open"] == 1


def test_money_that_nobody_can_explain_is_seen(start: StartService) -> None:
    service = start(intervals=WOKEN)
    phone, _ = service.phone(), service.phone()
    assert scrape(service)["palette_ledger_drifting_users"] == 0
    service.change("UPDATE users SET credits = credits + 1 WHERE id = :id", id=phone.user_id)
    assert scrape(service)["palette_ledger_drifting_users"] == 1
    service.change("UPDATE users SET credits = credits - 1 WHERE id = :id", id=phone.user_id)
    service.change("DELETE FROM billing_events WHERE user_id = :id", id=phone.user_id)
    assert scrape(service)["palette_ledger_drifting_users"] == 1
    service.change("UPDATE users SET credits = 0 WHERE id = :id", id=phone.user_id)
    assert scrape(service)["palette_ledger_drifting_users"] == 0


@ONCE
def test_requests_are_counted_by_their_route(start: StartService) -> None:
    service = start(intervals=WOKEN)
    phone: Phone = service.phone()
    for number in range(20):
        assert phone.call("GET", f"/jobs/job_{number}").status_code == 404
        assert phone.call("GET", f"/nowhere/{number}").status_code == 404
        assert phone.call("PURGE", f"/jobs/job_{number}").status_code == 405
        assert phone.call(f"M{number}", "/jobs").status_code == 405
    phone.job(phone.create(1)["job_id"])
    found = scrape(service)
    requests = {n: v for n, v in found.items() if n.startswith("palette_http_requests_total")}
    unmatched = 'route="(unmatched)"'
    assert requests == {
        'palette_http_requests_total{method="POST",route="/auth/anon",status="200"}': 1,
        'palette_http_requests_total{method="GET",route="/jobs/{job_id}",status="404"}': 20,
        'palette_http_requests_total{method="GET",route="/jobs/{job_id}",status="200"}': 1,
        'palette_http_requests_total{method="POST",route="/jobs",status="201"}': 1,
        f'palette_http_requests_total{{method="GET",{unmatched},status="404"}}': 20,
        f'palette_http_requests_total{{method="(unmatched)",{unmatched},status="405"}}': 40,
    }
    labels = 'method="GET",route="/jobs/{job_id}"'
    assert found[f"palette_http_request_duration_seconds_count{{{labels}}}"] == 21
    assert 0 < found[f"palette_http_request_duration_seconds_sum{{{labels}}}"] < 60
    assert found["palette_http_requests_in_progress"] == 1  # the scrape itself
    scrapes = 'palette_http_requests_total{method="GET",route="/metrics",status="200"}'
    assert scrape(service)[scrapes] == 1


TOKEN = "metrics-token-" + "m" * 32


@ONCE
def test_no_secret_and_nobody_s_id_is_shown(start: StartService) -> None:
    service = start(intervals=WOKEN, METRICS_TOKEN=TOKEN)
    service.runpod.answers.append(httpx.Response(400))
    phone = service.phone()
    job_id = phone.queued_job(1)
    service.wait_until("SELECT id FROM jobs WHERE status = 'failed'")
    service.api.get("/me", headers={"Authorization": "Bearer canary-token"})
    service.api.get("/nope?X-Amz-Signature=canary-query")
    text = page(service, Authorization=f"Bearer {TOKEN}").text
    assert "palette_jobs" in text
    settings = service.settings
    secrets = [
        settings.jwt_secret.reveal(),
        settings.storage_access_key,
        settings.storage_secret_key.reveal(),
        settings.runpod_api_key.reveal(),
        settings.database_url.reveal(),
        *(secret.reveal() for secret in settings.callback_secrets),
    ]
    for hidden in (TOKEN, phone.token, phone.user_id, job_id, "canary", "endpoint1", *secrets):
        assert hidden not in text, hidden


@ONCE
def test_with_a_token_only_who_has_it_may_scrape(start: StartService) -> None:
    service = start(METRICS_TOKEN=TOKEN)
    refused: list[dict[str, str]] = [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
    ]
    for sent in refused:
        response = service.api.get("/metrics", headers=sent)
        assert response.status_code == 401
        assert TOKEN not in response.text
    odd = {b"Authorization": b"Bearer \xff\xed"}
    assert service.api.get("/metrics", headers=odd).status_code == 401
    assert page(service, Authorization=f"bearer {TOKEN}").status_code == 200


PRODUCTION = {
    "ENV": "production",
    "R2_ENDPOINT_URL": "https://store.test",
    "RUNPOD_BASE_URL": "https://runpod.test/v2",
    "JWT_SECRET": f"jwt-{ascii_letters}",
    "GPU_CALLBACK_SECRET": f"callback-{ascii_letters}",
}


@ONCE
def test_in_production_there_is_none_without_a_token(start: StartService) -> None:
    response = start(**PRODUCTION).api.get("/metrics")
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "There is nothing at this address."


@ONCE
def test_in_production_it_is_there_with_a_token(start: StartService) -> None:
    service = start(METRICS_TOKEN=TOKEN, **PRODUCTION)
    assert service.api.get("/metrics").status_code == 401
    assert page(service, Authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("METRICS_TOKEN", "too-short"),
        ("METRICS_TOKEN", "with a space " + "m" * 32),
        ("QUEUE_AGE_LIMIT_SEC", "0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    store: ServedStore, variable: str, value: str
) -> None:
    environ = environment(store, "sqlite:///edge.db") | {variable: value}
    with pytest.raises(SettingsError, match=f"^{variable}: ") as refused:
        Settings.from_env(environ)
    assert value not in str(refused.value) or variable == "QUEUE_AGE_LIMIT_SEC"


@ONCE
def test_it_is_prometheus_text_no_documented_call_and_not_counted(start: StartService) -> None:
    service = start(CALLS_PER_MINUTE="5")
    phone = service.phone()
    for _ in range(11):
        assert page(service, Authorization=f"Bearer {phone.token}").status_code == 200
    response = page(service)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "ratelimit" not in response.headers
    assert phone.call("GET", "/me").status_code == 200
    assert "/metrics" not in service.api.get("/docs/openapi.json").json()["paths"]
    for line in response.text.splitlines():
        if line.startswith("# HELP palette_"):
            assert "process" in line or "version" in line, line


@ONCE
def test_figures_are_kept_for_a_while(start: StartService) -> None:
    service = start()
    service.phone()
    before = scrape(service)
    service.phone()
    after = scrape(service)
    kept = ("palette_free_credits_today", 'palette_ledger_credits{kind="grant"}')
    assert [after[name] for name in kept] == [before[name] for name in kept] == [10, 10]
    counted = 'palette_http_requests_total{method="POST",route="/auth/anon",status="200"}'
    assert (before[counted], after[counted]) == (1, 2)


def test_scrapes_amid_calls_lose_nothing_and_count_everything(served_service: Service) -> None:
    service = served_service
    service.api.event_hooks = {}
    phone = service.phone()
    name = 'palette_http_requests_total{method="GET",route="/me",status="200"}'
    before = scrape(service).get(name, 0.0)

    def call(number: int) -> int:
        if number % 4 == 0:
            return service.api.get("/metrics").status_code
        return phone.call("GET", "/me").status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(call, range(200))) == {200}
    assert scrape(service)[name] - before == 150


class CountedDatabase:
    """Answers with `figure` after `pause` seconds, or raises it; counts how often it is asked."""

    def __init__(self, figure: object = None, pause: float = 0.0) -> None:
        self.reads: list[str] = []
        self._figure = figure
        self._pause = pause

    async def read(self, fn: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        self.reads.append(fn.__name__)
        await asyncio.sleep(self._pause)
        if isinstance(self._figure, Exception):
            raise self._figure
        return self._figure

    async def write(self, fn: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        raise AssertionError("a scrape writes nothing")

    async def close(self) -> None: ...


def exposed(database: Any, scrapes: int, ages: Ages | None = None) -> list[dict[str, float]]:
    """What so many scrapes at once see."""

    async def run() -> list[bytes]:
        metrics = Metrics(database, "endpoint1", Counters("1.0"), Access(public=True), ages)
        try:
            return await asyncio.gather(*(metrics.expose() for _ in range(scrapes)))
        finally:
            await metrics.close()
            await database.close()

    return [samples(text.decode()) for text in asyncio.run(run())]


def test_however_many_scrape_the_database_is_asked_once() -> None:
    database = CountedDatabase(RuntimeError("whatever"), pause=0.05)
    exposed(database, 50, FRESH)
    assert sorted(database.reads) == ["count_drifting", "read_history", "read_sweeps", "read_work"]


def test_a_database_that_hangs_or_fails_takes_only_its_own_figures(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cached_figures, "PATIENCE", 0.05)
    for database in (CountedDatabase(pause=60.0), CountedDatabase(RuntimeError("gone"))):
        (found,) = exposed(database, 1)
        assert found['palette_figures_readable{figures="work"}'] == 0
        assert found['palette_build_info{version="1.0"}'] == 1
        assert not [
            name
            for name in found
            if name.startswith(("palette_jobs", "palette_ledger", "palette_q", "palette_sweeps"))
        ]
    assert {record.getMessage() for record in caplog.records} == {"figures could not be read"}


@pytest.mark.parametrize(("rest", "reads"), [(0.0, 4), (1000.0, 1)])
def test_slow_figures_are_read_more_rarely(rest: float, reads: int) -> None:
    read = list[int]()

    async def slow() -> int:
        read.append(len(read))
        await asyncio.sleep(0.02)
        return len(read)

    async def run() -> int | None:
        cached = Cached("drift", slow, 0.0, rest)
        for _ in range(4):
            await cached.refresh()
        return cached.value

    assert asyncio.run(run()) == reads == len(read)


def test_a_new_database_has_every_figure_at_zero(
    make_database: MakeDatabase, database_kind: str
) -> None:
    (found,) = exposed(open_database(make_database(database_kind)), 1)
    shown = {n: v for n, v in found.items() if n.startswith("palette_") and "figures" not in n}
    gauges = {n: v for n, v in shown.items() if not re.search("_lag_|_build_|_limit", n)}
    assert set(gauges.values()) == {0}
    assert len([name for name in gauges if name.startswith("palette_jobs{")]) == 7
    assert len([name for name in gauges if name.startswith("palette_dispatches{")]) == 7


OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
_ROW = re.compile(r"^\| `((?:palette|process|python)_\w+)` \|([^|]*)\|", re.MULTILINE)


@ONCE
def test_the_families_are_those_that_the_documentation_names(start: StartService) -> None:
    """Dashboards and alerts are written by that table."""
    documented = {name: set(re.findall(r"\w+", labels)) for name, labels in rows_of(OPERATIONS)}
    service = start(intervals=WOKEN)
    service.phone()
    shown = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(page(service).text)
    }
    assert set(documented) == set(shown)
    for name, family in shown.items():
        labels = {label for sample in family.samples for label in sample.labels}
        assert labels - {"le"} == documented[name] or not family.samples, name


def rows_of(page: Path) -> list[tuple[str, str]]:
    rows = [(found[1], found[2]) for found in _ROW.finditer(page.read_text())]
    names = [name for name, _ in rows]
    assert len(names) == len(set(names))
    return rows


def test_a_failing_loop_is_counted() -> None:
    counters, steps = Counters(), list[int]()

    async def run() -> None:
        enough = asyncio.Event()

        async def step() -> bool:
            steps.append(1)
            if len(steps) == 3:
                enough.set()
            raise RuntimeError("one bad row")

        loop = repeat("expire", step, 0.01, asyncio.Event(), counters.count_failed_step)
        task = asyncio.create_task(loop)
        async with asyncio.timeout(5):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert counters.registry.get_sample_value(
        "palette_background_failures_total", {"loop": "expire"}
    ) in {2.0, 3.0}
