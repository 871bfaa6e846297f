"""What one person does: job after job, from POST /jobs to a look at a result."""

import asyncio
import hashlib
import random
import uuid
from collections.abc import Iterator

from tests.chaos.phone import Answer, Phone
from tests.chaos.photos import photo
from tests.chaos.plan import Plan
from tests.chaos.weather import Weather
from tests.chaos.witness import Seen, Witness

PRESET = "interior"
RULE = {"concepts": {"Wall": {"action": "recolor", "value": "sage"}}}
UPLOADS_AT_ONCE = 5


class Customer:
    """Works through the jobs it is given, until `out_of_time` says that none is to begin."""

    def __init__(
        self, phone: Phone, plan: Plan, weather: Weather, witness: Witness, seed: int
    ) -> None:
        self._phone = phone
        self._plan = plan
        self._weather = weather
        self._witness = witness
        self._luck = random.Random(seed)

    async def work(self, numbers: Iterator[int], out_of_time: asyncio.Event) -> None:
        for _ in numbers:
            if out_of_time.is_set():
                return
            await self._job()

    async def _job(self) -> None:
        seen, targets = await self._create()
        self._witness.step()
        if self._weather.strikes(self._weather.odds.abandoned):
            self._witness.skip(2)
            return
        await self._upload(targets)
        if self._weather.strikes(self._weather.odds.canceled / 3):
            await self._cancel(seen)
        if await self._confirm(seen) and await self._execute(seen):
            canceling = self._weather.strikes(self._weather.odds.canceled)
            async with asyncio.TaskGroup() as both:
                if canceling:
                    both.create_task(self._cancel(seen, self._luck.uniform(0.0, 4.0)))
                both.create_task(self._follow(seen))
        else:
            self._witness.skip(1)
            await self._follow(seen)
        self._witness.step()

    async def _create(self) -> tuple[Seen, list[dict[str, str]]]:
        """POST /jobs under one key until it is answered, over a line that loses answers."""
        key = str(uuid.UUID(int=self._luck.getrandbits(128), version=4))
        body = {"preset": PRESET, "item_count": self._plan.items}
        self._witness.asked.add(key)
        if self._weather.strikes(self._weather.odds.answer_lost):
            lost = await self._phone.call_once("POST", "/jobs", body, key)
            self._note(key, lost)
        if self._weather.strikes(self._weather.odds.doubled):
            twin = asyncio.create_task(self._phone.call_once("POST", "/jobs", body, key))
            answer = await self._phone.call("POST", "/jobs", body, key)
            self._note(key, await twin)
        else:
            answer = await self._phone.call("POST", "/jobs", body, key)
        assert answer.is_ok, f"POST /jobs: {answer.status} {answer.body}"
        if self._weather.strikes(self._weather.odds.answer_lost):
            await self._other_body(key)
        seen = self._witness.acknowledged(key, answer.data["job_id"], self._phone.user_id)
        return seen, answer.data["presigned_urls"]

    def _note(self, key: str, answer: Answer | None) -> None:
        """An answer that the app never saw: the job in it must be the same one all the same."""
        if answer is not None and answer.is_ok:
            self._witness.acknowledged(key, answer.data["job_id"], self._phone.user_id)

    async def _other_body(self, key: str) -> None:
        body = {"preset": PRESET, "item_count": self._plan.items + 1}
        answer = await self._phone.call("POST", "/jobs", body, key)
        if answer.is_ok:
            self._witness.acknowledged(key, answer.data["job_id"], self._phone.user_id)
            self._witness.contradictions.append("a key was taken with another body")

    async def _upload(self, targets: list[dict[str, str]]) -> None:
        gate = asyncio.Semaphore(UPLOADS_AT_ONCE)

        async def one(url: str) -> None:
            async with gate:
                await self._phone.put(url, photo(self._luck))

        async with asyncio.TaskGroup() as uploads:
            for target in targets:
                uploads.create_task(one(target["url"]))

    async def _confirm(self, seen: Seen) -> bool:
        answer = await self._phone.call("POST", f"/jobs/{seen.job_id}/confirm-upload")
        if answer.code == "INVALID_TRANSITION":
            self._witness.contradictions.append(f"{seen.job_id} lost uploads: {answer.body}")
        return answer.is_ok

    async def _execute(self, seen: Seen) -> bool:
        answer = await self._phone.call("POST", f"/jobs/{seen.job_id}/execute", RULE)
        if answer.is_ok:
            self._witness.executed()
        return answer.is_ok

    async def _cancel(self, seen: Seen, after: float = 0.0) -> None:
        await asyncio.sleep(after)
        await self._phone.call("POST", f"/jobs/{seen.job_id}/cancel")

    async def _follow(self, seen: Seen) -> None:
        """Poll until the job is final, then look at one of its results."""
        while True:
            answer = await self._phone.call("GET", f"/jobs/{seen.job_id}")
            assert answer.is_ok, f"GET /jobs: {answer.status} {answer.body}"
            job = answer.data["job"]
            if self._witness.saw(job).is_final:
                break
            await asyncio.sleep(self._plan.poll * self._luck.uniform(0.7, 1.3))
        if job["download_urls"]:
            link = self._luck.choice(job["download_urls"])
            result = await self._phone.get(link["output_url"])
            if result is not None:
                digest = hashlib.sha256(result).hexdigest()
                self._witness.saw_result(seen, link["idx"], digest)
