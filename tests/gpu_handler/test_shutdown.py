"""Signals: the SDK's own handler is called too, and the process leaves when it is idle."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Generator

import pytest

from gpu_handler.shutdown import ShutdownHook

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def sdk_calls() -> Generator[list[int]]:
    """What the SDK's handler was called with; the test's own handlers come back afterwards."""
    calls: list[int] = []
    before = [signal.signal(number, lambda n, _: calls.append(n)) for number in SIGNALS]
    yield calls
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_idle_worker_leaves_at_once(number: signal.Signals, sdk_calls: list[int]) -> None:
    drained: list[bool] = []
    hook = ShutdownHook(lambda: drained.append(True), lambda: True)

    async def long_poll() -> None:
        hook.install()
        os.kill(os.getpid(), number)
        await asyncio.sleep(30)

    started = time.monotonic()
    with pytest.raises(SystemExit) as left:
        asyncio.run(long_poll())

    assert left.value.code == 0
    assert time.monotonic() - started < 2
    assert drained == [True]
    assert sdk_calls == [number]


def test_busy_worker_leaves_when_its_last_job_is_reported() -> None:
    jobs = {"one"}
    reported: list[float] = []
    hook = ShutdownHook(lambda: None, lambda: not jobs)

    async def work() -> None:
        hook.install()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.6)
        jobs.clear()
        reported.append(time.monotonic())
        await asyncio.sleep(30)

    with pytest.raises(SystemExit):
        asyncio.run(work())

    assert reported, "it left while a job was running"
    assert time.monotonic() - reported[0] < 1


def test_worker_that_wants_to_leave_does_so_when_its_last_job_is_reported(
    sdk_calls: list[int],
) -> None:
    jobs = {"one"}
    drained: list[bool] = []
    hook = ShutdownHook(lambda: drained.append(True), lambda: not jobs)

    async def work() -> None:
        hook.install()
        hook.leave()
        hook.leave()
        await asyncio.sleep(0.5)
        jobs.clear()
        await asyncio.sleep(30)

    started = time.monotonic()
    with pytest.raises(SystemExit):
        asyncio.run(work())

    assert 0.5 <= time.monotonic() - started < 2.5
    assert drained == [True]
    assert sdk_calls == []


def test_second_signal_and_second_installation_change_nothing(sdk_calls: list[int]) -> None:
    drained: list[bool] = []
    hook = ShutdownHook(lambda: drained.append(True), lambda: True)

    async def long_poll() -> None:
        hook.install()
        hook.install()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(30)

    with pytest.raises(SystemExit):
        asyncio.run(long_poll())

    assert drained == [True]
    assert sdk_calls == [signal.SIGTERM, signal.SIGTERM]


def test_outside_the_main_thread_signals_are_left_to_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def install() -> None:
        ShutdownHook(lambda: None, lambda: True).install()

    thread = threading.Thread(target=lambda: asyncio.run(install()))
    thread.start()
    thread.join()

    assert "SIGTERM is left to others" in caplog.text
