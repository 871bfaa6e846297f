"""The API's own queue in the place of Runpod, as dispatching sees it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import pytest
from sqlalchemy import Connection

from edge_api.clients.runpod import (
    RunpodAmbiguous,
    RunpodClient,
    RunpodForgotten,
    RunpodRefused,
    RunpodStatus,
    RunpodTransient,
)
from edge_api.clients.workers import WorkerQueue
from edge_api.domain.errors import TokenInvalid
from edge_api.services.accounts import open_account
from edge_api.services.leases import LeaseLost, Leases
from edge_api.services.queue import PullingWorkers, QueueClient, open_queue
from edge_api.settings import Secret, Settings
from edge_api.storage.addresses import open_database
from edge_api.storage.database import Database, DatabaseUnavailable
from shared.environment import SettingsError
from shared.messages import JobMessage
from shared.queue import FinishRequest, LeasedJob, LeaseRequest

TOKEN = "a-token-of-the-queue-alone-" + "q7wZ0aVtB3nKxE9dRfY"
COMPLETE = {
    "JWT_SECRET": "canary-jwt-qL7wZ0aVtB3nKxE9dRfYhU2mPs",
    "GPU_CALLBACK_SECRET": "canary-callback-gT5oJ1iWcN8kXyQ4bDzM6",
    "R2_ACCOUNT_ID": "abc123",
    "R2_ACCESS_KEY_ID": "access",
    "R2_SECRET_ACCESS_KEY": "canary-r2",
    "PUBLIC_URL": "https://api.test/",
    "DISPATCH": "queue",
    "QUEUE_TOKEN": TOKEN,
}


@pytest.fixture
def play(database_url: str) -> Callable[[Callable[[Database], Awaitable[None]]], None]:
    """Runs a scene on a database of its own."""

    async def run(scene: Callable[[Database], Awaitable[None]]) -> None:
        database = open_database(database_url)
        try:
            async with asyncio.timeout(10):
                await scene(database)
        finally:
            await database.close()

    return lambda scene: asyncio.run(run(scene))


def message(user_id: str, dispatch_id: str = "dispatch_1") -> JobMessage:
    return JobMessage(
        schema_version=1,
        job_id="job_1",
        dispatch_id=dispatch_id,
        attempt=1,
        user_id=user_id,
        preset="interior",
        concepts={},
        protect=[],
        items=[],
        callback_url="https://api.test/jobs/job_1/callback",
        idempotency_prefix="job_1",
        batch_concurrency=4,
    )


def _new_user(connection: Connection) -> str:
    return open_account(connection, None, time.time())[0].id


async def submit(client: WorkerQueue, database: Database, **changes: float) -> str:
    user_id = await database.write(_new_user)
    times = {"execution_timeout": 300.0, "ttl": 3600.0} | changes
    return await client.submit("queue", message(user_id), **times)


async def never() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


async def lease(leases: Leases, wait: float = 0.0) -> LeasedJob:
    job = await leases.lease(LeaseRequest("pod-1", wait), await never())
    assert job is not None
    return job


Scenes = Callable[[Callable[[Database], Awaitable[None]]], None]


def test_what_is_told_from_the_queue_to_the_end(play: Scenes) -> None:
    async def scene(database: Database) -> None:
        client, leases = QueueClient(database), Leases(database, [], 60.0)
        job_id = await submit(client, database)
        assert await client.workers("queue") == PullingWorkers()
        waiting = await client.status("queue", job_id)
        assert (waiting.status, waiting.execution_ms) == (RunpodStatus.IN_QUEUE, None)

        job = await lease(leases)
        assert (job.id, job.execution_seconds) == (job_id, 300.0)
        assert msgspec.convert(job.input, JobMessage).job_id == "job_1"
        assert (await client.status("queue", job_id)).status is RunpodStatus.IN_PROGRESS
        busy = await client.workers("queue")
        assert (busy, busy.usable) == (PullingWorkers(running=1), 0)

        assert await leases.finish(job_id, FinishRequest(job.lease, {"items": []}))
        over = await client.status("queue", job_id)
        assert (over.status, bytes(over.output)) == (RunpodStatus.COMPLETED, b'{"items":[]}')
        assert over.execution_ms is not None
        assert 0 <= over.execution_ms < 10_000
        idle = await client.workers("queue")
        assert (idle, idle.usable) == (PullingWorkers(idle=1), 1)

    play(scene)


def test_an_error_reads_as_runpod_s_do(play: Scenes) -> None:
    async def scene(database: Database) -> None:
        client, leases = QueueClient(database), Leases(database, [], 60.0)
        job_id = await submit(client, database)
        job = await lease(leases)
        await leases.finish(job_id, FinishRequest(job.lease, error="UNSUPPORTED_SCHEMA: 9"))
        told = await client.status("queue", job_id)
        assert (told.status, told.unread) == (RunpodStatus.FAILED, True)

    play(scene)


def test_whoever_asks_first_finds_a_lost_worker(play: Scenes) -> None:
    """Long before the sweep comes by."""

    async def scene(database: Database) -> None:
        client, leases = QueueClient(database), Leases(database, [], 0.05)
        job_id = await submit(client, database)
        job = await lease(leases)
        await asyncio.sleep(0.1)
        with pytest.raises(LeaseLost):
            await leases.renew(job_id, job.lease)
        told = await client.status("queue", job_id)
        assert (told.status, bytes(told.error)) == (RunpodStatus.FAILED, b'"worker lost"')
        with pytest.raises(LeaseLost):
            await leases.finish(job_id, FinishRequest(job.lease, {}))

    play(scene)


def test_a_job_that_nobody_took_in_time(play: Scenes) -> None:
    async def scene(database: Database) -> None:
        client = QueueClient(database)
        job_id = await submit(client, database, ttl=0.01)
        await asyncio.sleep(0.02)
        assert (await client.status("queue", job_id)).status is RunpodStatus.TIMED_OUT

    play(scene)


def test_a_call_that_waits_is_woken_by_the_job(play: Scenes) -> None:
    async def scene(database: Database) -> None:
        leases = Leases(database, [], 60.0)
        client = QueueClient(database, leases.wake)
        waiting = asyncio.create_task(lease(leases, wait=5.0))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        job_id = await submit(client, database)
        assert (await waiting).id == job_id
        assert time.monotonic() - began < 0.8, "it was found by looking, not told"

    play(scene)


def test_a_job_of_another_process_is_found_as_well(play: Scenes) -> None:
    async def scene(database: Database) -> None:
        waiting = asyncio.create_task(lease(Leases(database, [], 60.0), wait=5.0))
        await asyncio.sleep(0.05)
        job_id = await submit(QueueClient(database), database)
        assert (await waiting).id == job_id

    play(scene)


def test_what_is_not_there_is_forgotten(play: Scenes) -> None:
    async def scene(database: Database) -> None:
        client = QueueClient(database)
        with pytest.raises(RunpodForgotten):
            await client.status("queue", "queued_nope")
        with pytest.raises(RunpodForgotten):
            await client.cancel("queue", "queued_nope")
        with pytest.raises(RunpodRefused):
            await client.submit("queue", message("gone"), execution_timeout=1.0, ttl=1.0)

    play(scene)


class DownDatabase:
    """Nobody listens."""

    async def write(self, *_: object, **__: object) -> None:
        raise DatabaseUnavailable("canary")

    read = glance = write

    async def close(self) -> None: ...


def test_a_database_that_is_down_is_told_as_runpod_s_troubles_are() -> None:
    async def scene() -> None:
        client = QueueClient(DownDatabase())  # pyright: ignore[reportArgumentType]
        with pytest.raises(RunpodAmbiguous):
            await client.submit("queue", message("user"), execution_timeout=1.0, ttl=1.0)
        with pytest.raises(RunpodAmbiguous):
            await client.cancel("queue", "queued_1")
        with pytest.raises(RunpodTransient):
            await client.status("queue", "queued_1")
        with pytest.raises(RunpodTransient):
            await client.workers("queue")

    asyncio.run(scene())


def read(environ: Mapping[str, str]) -> Settings:
    return Settings.from_env(environ)


def test_settings_without_runpod() -> None:
    settings = read(COMPLETE | {"QUEUE_LEASE_SEC": "5"})
    assert (settings.runpod_endpoint_id, settings.queue_lease) == ("queue", 5.0)
    assert "q7wZ0" not in repr(settings)
    client = open_queue(settings, DownDatabase())  # pyright: ignore[reportArgumentType]
    assert isinstance(client, QueueClient)


def test_with_runpod_the_queue_needs_nothing() -> None:
    runpod = {"DISPATCH": "", "QUEUE_TOKEN": "", "RUNPOD_API_KEY": "k", "RUNPOD_ENDPOINT_ID": "e"}
    settings = read(COMPLETE | runpod)
    assert settings.queue_tokens == ()
    client = open_queue(settings, DownDatabase())  # pyright: ignore[reportArgumentType]
    assert isinstance(client, RunpodClient)
    asyncio.run(client.close())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISPATCH", "both"),
        ("QUEUE_TOKEN", ""),
        ("QUEUE_TOKEN", "canary-too-short"),
        ("QUEUE_TOKEN", TOKEN + ",canary-too-short"),
        ("QUEUE_TOKEN", "canary two words " + "q" * 32),
        ("QUEUE_TOKEN", COMPLETE["JWT_SECRET"]),
        ("QUEUE_LEASE_SEC", "0"),
        ("RUNPOD_API_KEY", ""),
    ],
)
def test_a_setting_that_does_not_fit_is_named(name: str, value: str) -> None:
    environ = COMPLETE | {name: value}
    if name == "RUNPOD_API_KEY":
        environ |= {"DISPATCH": "runpod"}
    with pytest.raises(SettingsError, match=name) as refused:
        read(environ)
    assert "canary" not in str(refused.value)


def test_a_weak_token_is_refused_in_production() -> None:
    with pytest.raises(SettingsError, match="QUEUE_TOKEN"):
        read(COMPLETE | {"ENV": "production", "QUEUE_TOKEN": "q" * 40})
    assert read(COMPLETE | {"ENV": "production"}).queue_tokens


def test_every_token_of_a_rotation_opens_and_no_other() -> None:
    leases = Leases(DownDatabase(), [Secret("a" * 32), Secret("b" * 32)], 60.0)  # pyright: ignore[reportArgumentType]
    leases.admit("a" * 32)
    leases.admit("b" * 32)
    for wrong in ("", "a" * 31, "a" * 33, "c" * 32):
        with pytest.raises(TokenInvalid):
            leases.admit(wrong)
