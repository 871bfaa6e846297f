"""A worker that pulls: what it asks for, keeps and brings back, whatever the API does."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from gpu_handler.adapters.queue import serve, take_jobs
from gpu_handler.adapters.queue.client import QueueClient
from gpu_handler.adapters.queue.pulling import Puller
from gpu_handler.answering import Handler, make_handler
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.callback import CallbackClient
from gpu_handler.devices.errors import DeviceLost
from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.worker import Worker
from gpu_handler.segment.base import Pixels
from gpu_handler.settings import Settings
from shared.environment import SettingsError
from shared.messages import JobSummary
from tests.gpu_handler.adapters.queue_double import TOKEN, QueueDouble
from tests.gpu_handler.conftest import SECRET, Lab, until
from tests.gpu_handler.test_settings import GIVEN
from tests.serving import running

Json = dict[str, Any]

PULLS = {
    **GIVEN,
    "ADAPTER": "queue",
    "QUEUE_URL": "http://127.0.0.1:1",
    "QUEUE_TOKEN": TOKEN,
    "WORKER_NAME": "pod-1",
}


@asynccontextmanager
async def pulling(queue: QueueDouble, handler: Handler) -> AsyncGenerator[Puller]:
    """A puller at work; when this ends it has stopped."""
    client = QueueClient("https://api.test", TOKEN, transport=queue.transport)
    puller = Puller(client, handler, "pod-1", pause=0.01)
    run = asyncio.create_task(puller.run())
    try:
        yield puller
    finally:
        puller.stop()
        async with asyncio.timeout(10):
            await run
        await client.close()


class Work:
    """A handler that waits for `gate`, and tells what it was given and how that ended."""

    def __init__(self) -> None:
        self.begun: list[Json] = []
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.answer: Json = {"items": []}

    async def __call__(self, job: Any) -> Json:
        self.begun.append(dict(job))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return dict(self.answer)


def play(scene: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


def work_until(queue: QueueDouble, done: Callable[[], bool]) -> None:
    """Pull with a handler that answers at once."""

    async def scene() -> None:
        work = Work()
        work.gate.set()
        async with pulling(queue, work):
            await until(done)

    play(scene)


def test_a_job_comes_back_as_its_summary(lab: Lab) -> None:
    queue = QueueDouble()
    queue.waiting.append(msgspec.to_builtins(lab.job(3)))

    async def scene() -> None:
        async with (
            lab.worker() as worker,
            pulling(queue, make_handler(worker, Fetcher())),
        ):
            await until(lambda: bool(queue.finished))

    play(scene)
    (finish,) = queue.finished.values()
    assert finish.error is None
    summary = msgspec.convert(finish.output, JobSummary)
    assert [item.status for item in summary.items] == ["done"] * 3
    assert {item.runpod_job_id for item in summary.items} == {"queued_1"}
    assert len(lab.api.results) == 3


def test_an_answer_that_is_an_error_is_told_as_one() -> None:
    queue, long = QueueDouble(), "canary\0" + "x" * 3000
    queue.waiting.append({})

    async def scene() -> None:
        work = Work()
        work.answer = {"error": long, "refresh_worker": True}
        work.gate.set()
        async with pulling(queue, work):
            await until(lambda: bool(queue.finished))

    play(scene)
    (finish,) = queue.finished.values()
    assert finish.output is None
    assert finish.error is not None
    assert (finish.error[:8], len(finish.error)) == ("canary x", 2000)


def test_two_jobs_at_once_and_no_third_until_one_is_over() -> None:
    queue = QueueDouble()
    queue.waiting.extend({"n": n} for n in range(3))

    async def scene() -> None:
        work = Work()
        async with pulling(queue, work):
            await until(lambda: len(work.begun) == 2)
            await asyncio.sleep(0.05)
            assert (len(work.begun), len(queue.waiting), queue.asked) == (2, 1, 2)
            work.gate.set()
            await until(lambda: len(queue.finished) == 3)

    play(scene)


def test_a_lease_is_renewed_at_thirds_while_the_work_goes_on() -> None:
    queue = QueueDouble(lease_seconds=0.15)
    queue.waiting.append({})

    async def scene() -> None:
        work = Work()
        async with pulling(queue, work):
            await until(lambda: len(queue.renewed) >= 6)  # twice as long as the lease was
            work.gate.set()
            await until(lambda: bool(queue.finished))
            renewed = len(queue.renewed)
            await asyncio.sleep(0.2)
            assert len(queue.renewed) == renewed, "renewed after its end"

    play(scene)


@pytest.mark.parametrize("how", ["canceled", "taken"])
def test_a_job_that_is_wanted_no_more_is_dropped(how: str) -> None:
    queue = QueueDouble(lease_seconds=0.15)
    queue.waiting.append({})

    async def scene() -> None:
        work = Work()
        async with pulling(queue, work):
            await until(lambda: bool(work.begun))
            getattr(queue, how).add("queued_1")
            await until(lambda: work.cancelled == 1)
            work.gate.set()
            queue.waiting.append({})
            await until(lambda: len(queue.finished) == 1)

    play(scene)
    assert "queued_1" not in queue.finished


def test_an_api_that_is_away_longer_than_the_lease_costs_the_job_and_not_the_worker() -> None:
    queue = QueueDouble(lease_seconds=0.2)
    queue.waiting.append({})

    async def scene() -> None:
        work = Work()
        async with pulling(queue, work):
            await until(lambda: bool(work.begun))
            queue.trouble = lambda verb: httpx.Response(503)
            await until(lambda: work.cancelled == 1)
            queue.trouble = lambda verb: None
            work.gate.set()
            queue.waiting.append({})
            await until(lambda: bool(queue.finished))

    play(scene)
    assert "queued_1" not in queue.finished


def cut_off(_: str) -> httpx.Response:
    raise httpx.ReadError("the line went dead")


TROUBLES: dict[str, Callable[[str], httpx.Response]] = {
    "down": lambda verb: httpx.Response(502),
    "another token": lambda verb: httpx.Response(401),
    "no such route": lambda verb: httpx.Response(404),
    "redirected": lambda verb: httpx.Response(302, headers={"location": "https://evil.test"}),
    "no JSON": lambda verb: httpx.Response(200, content=b"<html>"),
    "another shape": lambda verb: httpx.Response(200, json={"data": {"job": 1}}),
    "cut off": cut_off,
}


@pytest.mark.parametrize("name", TROUBLES)
def test_it_outlives_whatever_the_api_does(name: str) -> None:
    queue, calls = QueueDouble(), 0
    queue.waiting.append({})

    def trouble(verb: str) -> httpx.Response | None:
        nonlocal calls
        calls += 1
        return None if calls > 3 else TROUBLES[name](verb)

    queue.trouble = trouble

    work_until(queue, lambda: bool(queue.finished))
    assert calls >= 5


def test_a_finish_is_repeated_until_it_is_heard() -> None:
    queue, tries = QueueDouble(), 0
    queue.waiting.append({})

    def trouble(verb: str) -> httpx.Response | None:
        nonlocal tries
        tries += verb == "finish"
        return httpx.Response(503) if tries == 1 and verb == "finish" else None

    queue.trouble = trouble

    work_until(queue, lambda: bool(queue.finished))
    assert tries == 2


@pytest.mark.parametrize("status", [409, 404, 413])
def test_a_finish_that_comes_too_late_is_let_go(status: int) -> None:
    queue = QueueDouble()
    queue.waiting.append({})
    queue.trouble = lambda verb: httpx.Response(status) if verb == "finish" else None

    work_until(queue, lambda: queue.asked == 2)
    assert queue.finished == {}


def test_a_call_that_waits_is_hung_up_when_the_worker_goes() -> None:
    queue = QueueDouble()

    async def scene() -> None:
        async with pulling(queue, Work()):
            await until(lambda: queue.asked == 1)

    play(scene)
    assert (queue.asked, queue.hung_up) == (1, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_photos_in_flight_and_no_others(
    lab: Lab, number: signal.Signals
) -> None:
    queue = QueueDouble()
    queue.waiting.append(msgspec.to_builtins(lab.job(6)) | {"batch_concurrency": 1})
    lab.engine.gate = threading.Event()

    async def scene() -> None:
        client = QueueClient("https://api.test", TOKEN, transport=queue.transport)
        async with lab.worker() as worker:
            run = asyncio.create_task(take_jobs(client, "pod-1", worker, Fetcher()))
            await until(lambda: lab.engine.calls == 1)
            queue.waiting.append({})
            await until(lambda: queue.asked == 2)
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.05)
            assert lab.engine.gate is not None
            lab.engine.gate.set()
            await run

    play(scene)
    assert lab.engine.calls == 1
    finish = queue.finished["queued_1"]
    summary = msgspec.convert(finish.output, JobSummary)
    assert (summary.stopped, len(summary.items)) == ("shutdown", 1)


def worker_of(lab: Lab) -> Worker:
    """For a loop that is not there yet."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(lab.api))
    callbacks = CallbackClient(client, SECRET, timeout=5.0)
    brushwork = Brushwork([CpuBackend()])
    return Worker(lab.engine, lab.store, callbacks, brushwork=brushwork, batch_concurrency=4)


def lose_device(_: Sequence[Pixels]) -> None:
    raise DeviceLost("canary")


def test_a_lost_device_brings_the_job_back_and_ends_the_process(lab: Lab) -> None:
    """A real server, and `serve` as the entry point calls it."""
    queue = QueueDouble()
    queue.waiting.append(msgspec.to_builtins(lab.job(2)))
    lab.engine.failing = lose_device

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        request = httpx.Request(
            "POST", f"http://api.test{scope['path']}", headers=scope["headers"], content=body
        )
        answer = await queue(request)
        await send({"type": "http.response.start", "status": answer.status_code, "headers": []})
        await send({"type": "http.response.body", "body": answer.content})

    config = uvicorn.Config(app, log_config=None, lifespan="off")
    with running(config) as address, closing(worker_of(lab)) as worker:
        settings = Settings.from_env({**PULLS, "QUEUE_URL": address})
        with pytest.raises(SystemExit) as left:
            serve(settings, worker, Fetcher())
    assert left.value.code == 1
    summary = msgspec.convert(queue.finished["queued_1"].output, JobSummary)
    assert {item.error and item.error.code for item in summary.items} == {"DEVICE_LOST"}


def test_settings() -> None:
    settings = Settings.from_env(PULLS)
    assert (settings.queue_url, settings.worker_name) == ("http://127.0.0.1:1", "pod-1")
    assert TOKEN not in repr(settings)
    without = {name: value for name, value in PULLS.items() if name != "WORKER_NAME"}
    assert Settings.from_env(without).worker_name


def test_nobody_else_needs_them() -> None:
    settings = Settings.from_env(GIVEN | {"ADAPTER": "runpod"})
    assert (settings.queue_url, settings.queue_token) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUEUE_URL", ""),
        ("QUEUE_URL", "api.test"),
        ("QUEUE_TOKEN", ""),
        ("QUEUE_TOKEN", "canary-too-short"),
        ("QUEUE_TOKEN", "canary two words " + "q" * 32),
        ("WORKER_NAME", "pod 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as refused:
        Settings.from_env(PULLS | {name: value})
    assert "canary" not in str(refused.value)


def test_in_production_the_token_travels_encrypted() -> None:
    production = PULLS | {"ENV": "production", "CALLBACK_ALLOWED_HOSTS": "api.test"}
    with pytest.raises(SettingsError, match="QUEUE_URL"):
        Settings.from_env(production)
    assert Settings.from_env(production | {"QUEUE_URL": "https://api.test"}).queue_url
