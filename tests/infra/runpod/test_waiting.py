"""A held poll misses no news."""

import asyncio

from infra.local.runpod.waiting import Bell


def test_a_ring_between_asking_and_waiting_is_heard() -> None:
    async def listen() -> None:
        bell = Bell()
        heard = asyncio.create_task(bell.heard())
        bell.ring()  # before the task had its first turn
        await asyncio.wait_for(heard, 1)

    asyncio.run(listen())


def test_each_listener_hears_one_ring_once() -> None:
    async def listen() -> None:
        bell = Bell()
        heard = [asyncio.create_task(bell.heard()) for _ in range(3)]
        bell.ring()
        late = asyncio.create_task(bell.heard())
        await asyncio.wait_for(asyncio.gather(*heard), 1)
        assert not late.done()
        late.cancel()

    asyncio.run(listen())
