"""The device's queue: who goes through together, in which order, and what failures reach whom."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.pipeline.device import DeviceClosed, DeviceQueue
from gpu_handler.pipeline.stopping import Stopped, StopReason, StopSign
from gpu_handler.pipeline.stopwatch import Stopwatch
from gpu_handler.segment.base import Pixels, Segmentation
from shared.concepts import Concept, open_concept
from shared.logs import log_context, logged_as
from tests.gpu_handler.conftest import until

CONCEPTS = (open_concept("chair"),)


def photo(number: int) -> Pixels:
    return np.full((2, 2, 3), number, np.uint8)


class NumberEngine:
    """Answers each photo with its number as the presence. Call `gated` waits for the gate.

    `failing` may raise for the photos of a call; `jobs` are the log contexts of the calls.
    """

    name = "numbers"

    def __init__(self, photos_at_once: int = 8) -> None:
        self.photos_at_once = photos_at_once
        self.batches: list[list[int]] = []
        self.jobs: list[str | None] = []
        self.failing: Callable[[list[int]], None] = lambda numbers: None
        self.gate = threading.Event()
        self.gated = 0

    def prepare(self, photo: Pixels) -> Pixels:
        return photo

    def segment(
        self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
    ) -> list[list[Segmentation]]:
        numbers = [int(one[0, 0, 0]) for one in photos]
        self.batches.append(numbers)
        self.jobs.append(logged_as("job_id"))
        if len(self.batches) == self.gated:
            assert self.gate.wait(10), "the gate was never opened"
        self.failing(numbers)
        grid = np.zeros((1, 1), np.float32)
        return [
            [Segmentation(concept.id, number, grid) for concept in sought]
            for number, sought in zip(numbers, concepts, strict=True)
        ]


class Scene:
    """A queue whose first call, photo 0 of a job of its own, is held up until `open`."""

    def __init__(self, engine: NumberEngine) -> None:
        engine.gated = 1
        self.engine = engine
        self.queue = DeviceQueue(engine)
        self.opening: asyncio.Task[list[Segmentation]] | None = None

    async def begin(self) -> None:
        self.opening = self.ask(0, StopSign())
        await until(lambda: self.engine.batches == [[0]])

    def ask(
        self, number: int, stop: StopSign, watch: Stopwatch | None = None
    ) -> asyncio.Task[list[Segmentation]]:
        call = self.queue.segment(photo(number), CONCEPTS, stop, watch or Stopwatch())
        return asyncio.create_task(call)

    def open(self) -> None:
        self.engine.gate.set()


@asynccontextmanager
async def scene(engine: NumberEngine) -> AsyncGenerator[Scene]:
    made = Scene(engine)
    try:
        await made.begin()
        yield made
    finally:
        made.open()
        await asyncio.to_thread(made.queue.close)


async def outcomes(asked: Sequence[asyncio.Task[list[Segmentation]]]) -> list[object]:
    """The presence that each found, or what it raised."""
    told = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
    return [one if isinstance(one, BaseException) else one[0].presence for one in told]


def test_what_waits_goes_through_together_and_answers_find_their_photo() -> None:
    engine = NumberEngine(photos_at_once=3)

    async def go() -> list[object]:
        async with scene(engine) as stage:
            stop = StopSign()
            asked = [stage.ask(number, stop) for number in range(1, 8)]
            await asyncio.sleep(0.02)
            stage.open()
            return await outcomes(asked)

    assert asyncio.run(go()) == [1, 2, 3, 4, 5, 6, 7]
    assert engine.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_photo_that_finds_the_device_idle_does_not_wait_for_company() -> None:
    engine = NumberEngine(photos_at_once=8)

    async def go() -> float:
        queue = DeviceQueue(engine)
        started = time.monotonic()
        await queue.segment(photo(1), CONCEPTS, StopSign(), Stopwatch())
        seconds = time.monotonic() - started
        queue.close()
        return seconds

    assert asyncio.run(go()) < 0.5
    assert engine.batches == [[1]]


@pytest.mark.parametrize(
    ("at_once", "expected"),
    [
        (1, [[0], [1], [11], [2], [12], [3], [4], [5]]),
        (2, [[0], [1, 11], [2, 12], [3, 4], [5]]),
        (4, [[0], [1, 11, 2, 12], [3, 4, 5]]),
    ],
)
def test_jobs_take_turns_each_with_its_oldest(at_once: int, expected: list[list[int]]) -> None:
    engine = NumberEngine(photos_at_once=at_once)

    async def go() -> list[object]:
        async with scene(engine) as stage:
            large, small = StopSign(), StopSign()
            asked = [stage.ask(number, large) for number in range(1, 6)]
            asked += [stage.ask(number, small) for number in (11, 12)]
            await asyncio.sleep(0.02)
            stage.open()
            return await outcomes(asked)

    assert asyncio.run(go()) == [1, 2, 3, 4, 5, 11, 12]
    assert engine.batches == expected


def test_photos_nobody_wants_any_more_cost_nothing_and_take_no_room() -> None:
    engine = NumberEngine(photos_at_once=2)

    async def go() -> tuple[list[object], bool]:
        async with scene(engine) as stage:
            stopped, kept = StopSign(), StopSign()
            dropped = [stage.ask(number, stopped) for number in (1, 2)]
            asked = [stage.ask(number, kept) for number in (11, 12, 13)]
            await asyncio.sleep(0.02)
            stopped.raise_for(StopReason.CANCELLED)
            asked[0].cancel()
            await asyncio.sleep(0.02)
            gone = asked[0].cancelled()
            stage.open()
            return await outcomes([*dropped, *asked[1:]]), gone

    told, gone = asyncio.run(go())

    assert gone, "a cancelled await does not wait for the device"
    assert [type(one) for one in told[:2]] == [Stopped, Stopped]
    assert told[2:] == [12, 13]
    assert engine.batches == [[0], [12, 13]]


def test_shutdown_lets_photos_in_flight_through() -> None:
    engine = NumberEngine()

    async def go() -> list[object]:
        async with scene(engine) as stage:
            stop = StopSign()
            asked = [stage.ask(1, stop)]
            stop.raise_for(StopReason.SHUTDOWN)
            stage.open()
            return await outcomes(asked)

    assert asyncio.run(go()) == [1]


def test_call_that_is_cancelled_while_it_runs_leaves_the_device_to_the_next() -> None:
    engine = NumberEngine()

    async def go() -> list[object]:
        async with scene(engine) as stage:
            assert stage.opening is not None
            stage.opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stage.opening
            asked = [stage.ask(1, StopSign())]
            await asyncio.sleep(0.02)
            assert engine.batches == [[0]], "the call is still under way"
            stage.open()
            return await outcomes(asked)

    assert asyncio.run(go()) == [1]


@pytest.mark.parametrize("error", [DeviceExhausted("no room"), ValueError("a bug")])
def test_photo_that_spoils_its_batch_fails_alone(error: Exception) -> None:
    engine = NumberEngine()

    def spoil(numbers: list[int]) -> None:
        if 2 in numbers:
            raise error

    engine.failing = spoil

    async def go() -> list[object]:
        async with scene(engine) as stage:
            stop = StopSign()
            asked = [stage.ask(number, stop) for number in (1, 2, 3)]
            await asyncio.sleep(0.02)
            stage.open()
            return await outcomes(asked)

    assert asyncio.run(go()) == [1, error, 3]
    assert engine.batches == [[0], [1, 2, 3], [1], [2], [3]]


def test_job_stopped_while_its_batch_is_tried_apart_costs_no_more() -> None:
    engine = NumberEngine()
    stop = StopSign()

    def spoil(numbers: list[int]) -> None:
        if len(numbers) > 1:
            stop.raise_for(StopReason.SUPERSEDED)
            raise DeviceExhausted

    engine.failing = spoil

    async def go() -> list[object]:
        async with scene(engine) as stage:
            asked = [stage.ask(1, stop), stage.ask(11, StopSign()), stage.ask(2, stop)]
            await asyncio.sleep(0.02)
            stage.open()
            return await outcomes(asked)

    told = asyncio.run(go())

    assert told[1] == 11
    assert [type(one) for one in (told[0], told[2])] == [Stopped, Stopped]
    assert engine.batches == [[0], [1, 11, 2], [11]]


def test_lost_device_fails_what_it_had_what_waits_and_what_comes() -> None:
    engine = NumberEngine(photos_at_once=2)

    def break_down(numbers: list[int]) -> None:
        if 1 in numbers:
            raise DeviceLost("an illegal memory access was encountered")

    engine.failing = break_down

    async def go() -> tuple[list[object], bool]:
        async with scene(engine) as stage:
            assert not stage.queue.lost
            stage.queue.check()
            stops = [StopSign(), StopSign()]
            asked = [stage.ask(number, stops[number % 2]) for number in range(1, 6)]
            await asyncio.sleep(0.02)
            stage.open()
            told = await outcomes(asked)
            told += await outcomes([stage.ask(9, StopSign())])
            with pytest.raises(DeviceLost, match="illegal memory"):
                stage.queue.check()
            return told, stage.queue.lost

    told, lost = asyncio.run(go())

    assert [type(one) for one in told] == [DeviceLost] * 6
    assert len({id(one) for one in told}) == 6, "one exception for each: tracebacks would pile up"
    assert lost
    assert engine.batches == [[0], [1, 2]]


def test_device_lost_while_photos_are_tried_apart_fails_the_rest() -> None:
    engine = NumberEngine()

    def break_down(numbers: list[int]) -> None:
        if len(numbers) > 1:
            raise DeviceExhausted
        if numbers == [2]:
            raise DeviceLost

    engine.failing = break_down

    async def go() -> list[object]:
        async with scene(engine) as stage:
            stop = StopSign()
            asked = [stage.ask(number, stop) for number in (1, 2, 3)]
            await asyncio.sleep(0.02)
            stage.open()
            return await outcomes(asked)

    told = asyncio.run(go())

    assert told[0] == 1
    assert [type(one) for one in told[1:]] == [DeviceLost, DeviceLost]
    assert engine.batches == [[0], [1, 2, 3], [1], [2]]


class Panic(BaseException):
    """What a panic of a Rust library is in Python."""


def test_panic_of_a_library_neither_ends_the_thread_nor_the_event_loop() -> None:
    engine = NumberEngine()

    def panic(numbers: list[int]) -> None:
        if 1 in numbers:
            raise Panic("index out of bounds")

    engine.failing = panic

    async def go() -> list[object]:
        async with scene(engine) as stage:
            stage.open()
            first = await outcomes([stage.ask(1, StopSign())])
            return first + await outcomes([stage.ask(2, StopSign())])

    failed, second = asyncio.run(go())

    assert isinstance(failed, RuntimeError)
    assert isinstance(failed.__cause__, Panic)
    assert second == 2


def test_engine_that_answers_for_too_few_photos_is_found_out() -> None:
    class Forgetful(NumberEngine):
        def segment(
            self, photos: Sequence[Pixels], concepts: Sequence[Sequence[Concept]]
        ) -> list[list[Segmentation]]:
            return super().segment(photos, concepts)[:1]

    engine = Forgetful()

    async def go() -> list[object]:
        async with scene(engine) as stage:
            stop = StopSign()
            asked = [stage.ask(number, stop) for number in (1, 2)]
            await asyncio.sleep(0.02)
            stage.open()
            return await outcomes(asked)

    assert asyncio.run(go()) == [1, 2]
    assert engine.batches == [[0], [1, 2], [1], [2]]


def test_closing_fails_what_waits_and_what_comes_and_ends_the_thread() -> None:
    engine = NumberEngine()

    async def go() -> list[object]:
        async with scene(engine) as stage:
            asked = [stage.ask(number, StopSign()) for number in (1, 2)]
            await asyncio.sleep(0.02)
            closing = asyncio.create_task(asyncio.to_thread(stage.queue.close))
            told = await outcomes(asked)
            assert stage.opening is not None
            assert not stage.opening.done()
            told += await outcomes([stage.ask(3, StopSign())])
            stage.open()
            await closing
            return told + await outcomes([stage.opening])

    told = asyncio.run(go())

    assert [type(one) for one in told[:3]] == [DeviceClosed] * 3
    assert told[3] == 0, "the call under way is waited for"
    assert not [thread for thread in threading.enumerate() if thread.name == "device"]


def test_device_that_hangs_keeps_nobody_from_leaving(caplog: pytest.LogCaptureFixture) -> None:
    engine = NumberEngine()

    async def go() -> float:
        async with scene(engine) as stage:
            started = time.monotonic()
            await asyncio.to_thread(stage.queue.close, 0.1)
            return time.monotonic() - started

    assert 0.1 <= asyncio.run(go()) < 2
    assert "left to itself" in caplog.text


def test_waiting_and_segmenting_are_timed_apart_by_the_wall() -> None:
    engine = NumberEngine()
    engine.failing = lambda numbers: time.sleep(0.05 * len(numbers))
    watches = [Stopwatch(), Stopwatch()]

    async def go() -> None:
        async with scene(engine) as stage:
            asked = [stage.ask(1, StopSign(), watches[0]), stage.ask(2, StopSign(), watches[1])]
            await asyncio.sleep(0.1)
            stage.open()
            await outcomes(asked)

    asyncio.run(go())

    for watch in watches:
        timings = watch.timings()
        assert list(timings) == ["device_wait", "segment", "total"]
        assert timings["device_wait"] >= 0.1
        assert timings["segment"] >= 0.1, "each waits for the whole batch"


def test_log_lines_of_a_call_name_its_job_where_it_has_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = NumberEngine()

    async def go() -> None:
        async with scene(engine) as stage:
            one, other = StopSign(), StopSign()
            with log_context(job_id="job-1"):
                asked = [stage.ask(1, one), stage.ask(2, one)]
            await asyncio.sleep(0.02)
            stage.open()
            await outcomes(asked)
            engine.gate.clear()
            engine.gated = 3
            with log_context(job_id="job-1"):
                asked = [stage.ask(3, one)]
            await until(lambda: len(engine.batches) == 3)
            with log_context(job_id="job-1"):
                asked.append(stage.ask(4, one))
            with log_context(job_id="job-2"):
                asked.append(stage.ask(5, other))
            await asyncio.sleep(0.02)
            stage.open()
            await outcomes(asked)

    with caplog.at_level(logging.INFO):
        asyncio.run(go())

    assert engine.batches == [[0], [1, 2], [3], [4, 5]]
    assert engine.jobs == [None, "job-1", "job-1", None]


def test_device_stays_with_one_thread_through_random_cancelling_and_stopping() -> None:
    engine = NumberEngine(photos_at_once=3)
    threads: set[int] = set()

    def note(numbers: list[int]) -> None:
        threads.add(threading.get_ident())
        time.sleep(0.001)
        if 7 in numbers:
            raise DeviceExhausted

    engine.failing = note
    rng = np.random.default_rng(5)

    async def go() -> list[object]:
        async with scene(engine) as stage:
            stage.open()
            stops = [StopSign() for _ in range(4)]
            asked: list[asyncio.Task[list[Segmentation]]] = []
            for number in range(1, 120):
                asked.append(stage.ask(number, stops[number % 4]))
                if rng.random() < 0.3:
                    asked[int(rng.integers(len(asked)))].cancel()
                if rng.random() < 0.5:
                    await asyncio.sleep(0.001)
                if number == 80:
                    stops[3].raise_for(StopReason.SUPERSEDED)
            return await outcomes(asked)

    told = asyncio.run(go())

    assert len(threads) == 1
    for number, one in enumerate(told, start=1):
        allowed = (Stopped, asyncio.CancelledError, DeviceExhausted)
        assert one == number or isinstance(one, allowed), number
    assert sum(isinstance(one, float | int) for one in told) > 40


def test_what_the_device_works_is_counted_while_it_works() -> None:
    async def go() -> None:
        async with scene(NumberEngine()) as stage:
            await until(lambda: stage.queue.worked > 0.05)
            stage.open()
            await outcomes([stage.opening] if stage.opening else [])
            worked = stage.queue.worked
            await asyncio.sleep(0.05)
            assert stage.queue.worked == worked > 0.05

    asyncio.run(go())
