"""How often one account may call, in all processes together."""

import time
from collections import OrderedDict

from msgspec import Struct

from edge_api.domain.errors import RateLimited
from edge_api.storage.database import Database
from edge_api.storage.rate_limits import Rate, Taken, take_calls

CHUNK = 20
"""Calls that a process takes from the database at once. It may hold that many for a user who now
calls another process: the limit is never exceeded, and reached so much earlier at worst."""

REMEMBERED = 20_000
HELD = 60.0
"""Seconds; what is not used until then is given up."""


class Allowance(Struct):
    """Calls that this process may still let through for one user."""

    left: int
    beyond: int
    until: float


class CallLimiter:
    """Counts calls of accounts; a rate of None counts nothing."""

    def __init__(self, database: Database, rate: Rate | None) -> None:
        self._database = database
        self.rate = rate
        self._chunk = 1 if rate is None else max(1, min(CHUNK, rate.calls // 20))
        self._held: OrderedDict[str, Allowance] = OrderedDict()

    async def count(self, user_id: str) -> int | None:
        """Let a call through; how many are left, or None where nobody counts. Raises RateLimited.

        Of requests of one user at the same moment each may fetch its own chunk.
        """
        if self.rate is None:
            return None
        held = self._held.get(user_id)
        while held is None or held.left < 1 or held.until < time.monotonic():
            held = await self._fetch(user_id, self.rate)
        held.left -= 1
        return held.left + held.beyond

    async def _fetch(self, user_id: str, rate: Rate) -> Allowance:
        taken, count = await self._take(user_id, rate, self._chunk), self._chunk
        if not taken.allowed and self._chunk > 1:
            taken, count = await self._take(user_id, rate, 1), 1
        if not taken.allowed:
            raise RateLimited(f"At most {rate.calls} calls in {rate.seconds:g} s.", taken.wait)
        held = self._held.get(user_id)
        if held is None or held.until < time.monotonic():
            held = self._held[user_id] = Allowance(0, 0, 0.0)
        held.left, held.beyond = held.left + count, taken.remaining
        held.until = time.monotonic() + HELD
        self._held.move_to_end(user_id)
        while len(self._held) > REMEMBERED:
            self._held.popitem(last=False)
        return held

    async def _take(self, user_id: str, rate: Rate, count: int) -> Taken:
        return await self._database.write(take_calls, f"calls:{user_id}", rate, time.time(), count)
