"""Asking Runpod how long attempts ran that are over."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from edge_api.clients.runpod import RunpodClient
from edge_api.services.billing import PAUSE, REMEMBERED, Billing
from edge_api.services.meter import Meter
from edge_api.storage.addresses import open_database
from tests.edge_api import rows
from tests.edge_api.storage.test_costs import ended_job

Json = dict[str, Any]
RATE = 190_000


class Runpod:
    """Answers every `/status` with the same."""

    def __init__(self, status: int, body: object) -> None:
        self.asked: list[str] = []
        self._answer = (status, body)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        status, body = self._answer
        return httpx.Response(status, json=body)


def look(url: str, runpod: Runpod, times: int = 1) -> None:
    async def whole() -> None:
        database = open_database(url)
        client = RunpodClient(
            "http://runpod.test/v2", "key", transport=httpx.MockTransport(runpod.handle)
        )
        billing = Billing(database, client, Meter(RATE))
        for _ in range(times):
            assert await billing.step() is False
        await client.close()
        await database.close()

    asyncio.run(whole())


def over(engine: Engine, age: float = 60.0) -> str:
    """The job of an attempt that was over so long ago."""
    with engine.begin() as connection:
        dispatch = ended_job(connection, 1.0)
        connection.execute(text("UPDATE dispatches SET next_at = :at"), {"at": time.time() - age})
        return dispatch.job_id


def attempt(engine: Engine, job_id: str) -> Json:
    with engine.begin() as connection:
        return rows.dispatches(connection, job_id)[0]


def test_what_ran_is_written_with_the_rate_and_not_asked_again(
    engine: Engine, database_url: str
) -> None:
    job_id = over(engine)
    runpod = Runpod(200, {"status": "COMPLETED", "executionTime": 2250, "delayTime": 30})
    look(database_url, runpod, times=2)
    row = attempt(engine, job_id)
    assert (row["execution_ms"], row["gpu_rate"], row["state"]) == (2250, RATE, "ended")
    assert runpod.asked == [f"/v2/endpoint1/status/{row['runpod_job_id']}"]


@pytest.mark.parametrize(
    ("status", "body"), [(200, {"status": "CANCELLED"}), (404, {})], ids=["never ran", "forgotten"]
)
def test_what_nobody_knows_is_not_asked_again(
    engine: Engine, database_url: str, status: int, body: Json
) -> None:
    job_id = over(engine)
    runpod = Runpod(status, body)
    look(database_url, runpod, times=2)
    assert attempt(engine, job_id)["execution_ms"] is None
    assert len(runpod.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(200, {"status": "IN_PROGRESS"}), (500, {})], ids=["running", "broken"]
)
def test_without_an_answer_it_is_asked_later(
    engine: Engine, database_url: str, status: int, body: Json
) -> None:
    job_id = over(engine)
    runpod = Runpod(status, body)
    look(database_url, runpod, times=2)
    assert len(runpod.asked) == 1
    assert attempt(engine, job_id)["next_at"] > time.time() + PAUSE - 10


@pytest.mark.parametrize("age", [0.0, REMEMBERED + 60], ids=["just now", "long ago"])
def test_nobody_is_asked_too_early_or_too_late(
    engine: Engine, database_url: str, age: float
) -> None:
    over(engine, age)
    runpod = Runpod(200, {"status": "COMPLETED", "executionTime": 1})
    look(database_url, runpod)
    assert runpod.asked == []
