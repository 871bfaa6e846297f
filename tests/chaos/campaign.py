"""One campaign from the first sign-up to the verdict."""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from edge_api.storage.addresses import open_database
from edge_api.storage.database import Database
from infra.local.ports import free_port
from infra.local.site import BUCKET
from shared.objects import ObjectStore
from tests.chaos.accounts import make_professional
from tests.chaos.customer import Customer
from tests.chaos.forgeries import Forger
from tests.chaos.gateway import Gateway
from tests.chaos.leaks import CANARY
from tests.chaos.phone import Phone
from tests.chaos.plan import Plan
from tests.chaos.postman import Postman
from tests.chaos.report import Report, Timing
from tests.chaos.runpod_faults import RunpodFaults
from tests.chaos.stand import Stand
from tests.chaos.storm import Storm, keep_up
from tests.chaos.switchboard import serve
from tests.chaos.verdict import any_open, read_rows
from tests.chaos.weather import Weather
from tests.chaos.witness import Witness

LOOK_S = 0.2


def run(plan: Plan, folder: Path) -> Report:
    """Start everything in `folder`, let it storm, and say what held. Leaves no process behind."""
    return asyncio.run(_run(plan, folder))


async def _run(plan: Plan, folder: Path) -> Report:
    port = free_port("127.0.0.1")
    stand = Stand(folder, plan, f"http://127.0.0.1:{port}")
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as http:
        campaign = Campaign(plan, stand, http)
        try:
            async with serve(port, campaign.postman, campaign.gateway):
                await asyncio.to_thread(stand.stack.start)
                await asyncio.to_thread(stand.stack.wait_ready)
                return await campaign.run()
        finally:
            await asyncio.to_thread(stand.stack.stop)


class Campaign:
    """The parts of one campaign while its stack runs."""

    def __init__(self, plan: Plan, stand: Stand, http: aiohttp.ClientSession) -> None:
        secrets = stand.stack.site.secrets
        luck = random.Random(plan.seed)
        self._plan = plan
        self._stand = stand
        self._http = http
        self._weather = Weather(plan.odds, luck)
        self._witness = Witness(plan.jobs)
        self._faults = RunpodFaults(http, secrets.runpod_api_key)
        self._faults.url = stand.stack.runpod_url
        self._customers: list[Customer] = []
        self._users: list[str] = []
        forger = Forger(secrets.callback_secret, random.Random(plan.seed + 1))
        self.postman = Postman(http, stand.addresses, self._weather, forger)
        self.gateway = Gateway(http, self._weather)
        self.gateway.upstream = stand.stack.runpod_url

    async def run(self) -> Report:
        database = open_database(self._stand.database_url)
        try:
            await self._open_accounts(database)
            storm, timing = await self._weather_it(database)
            rows = await database.read(read_rows, self._users)
        finally:
            await database.close()
        site = self._stand.stack.site
        keys = site.secrets.store_access_key, site.secrets.store_secret_key
        store = ObjectStore(site.store_url, BUCKET, *keys)
        report = Report(self._plan, rows, self._witness, self.postman, storm, timing)
        await asyncio.to_thread(report.judge, self._stand, store, self._weather)
        return report

    async def _open_accounts(self, database: Database) -> None:
        plan = self._plan
        for number in range(plan.customers):
            phone = Phone(self._http, self._stand.addresses, self._weather, self._witness)
            await phone.sign_up(f"{CANARY}-{plan.seed}-{number}-{time.time_ns()}")
            credits = 2 * plan.jobs * (plan.items + 1)
            await database.write(make_professional, phone.user_id, credits)
            self._users.append(phone.user_id)
            seed = plan.seed * 1000 + number
            self._customers.append(Customer(phone, plan, self._weather, self._witness, seed))

    async def _weather_it(self, database: Database) -> tuple[Storm, Timing]:
        began = time.monotonic()
        storm = Storm(self._plan, self._stand, self._weather, self._witness, self._faults)
        over, ended = asyncio.Event(), asyncio.Event()
        numbers = iter(range(self._plan.jobs))
        working = [asyncio.create_task(one.work(numbers, over)) for one in self._customers]
        keeper = asyncio.create_task(keep_up(self._stand, self._weather, ended))
        await storm.rage(lambda: not all(one.done() for one in working))
        if storm.is_late:
            over.set()
        self._weather.calm_down()
        await self._faults.stop()
        calm = time.monotonic()
        settled = await self._settle(working, database)
        ended.set()
        await keeper
        await self.postman.finish()
        return storm, Timing(calm - began, settled, time.monotonic() - began)

    async def _settle(self, working: Sequence[asyncio.Task[None]], database: Database) -> float:
        """Seconds from the last work given, with all faults over, until every phone had seen its
        jobs end. Those that were left behind are waited for as well, and have their own window.
        """
        calm, pending = time.monotonic(), set(working)
        while pending and self._left(calm) > 0:
            _, pending = await asyncio.wait(pending, timeout=min(LOOK_S, self._left(calm)))
        settled = self._plan.settle - self._left(calm)
        for one in pending:
            one.cancel()
        for outcome in await asyncio.gather(*working, return_exceptions=True):
            if isinstance(outcome, Exception):
                self._witness.contradictions.append(f"a phone met {outcome!r}")
        await self._wait_for_the_abandoned(calm, database)
        return settled

    async def _wait_for_the_abandoned(self, calm: float, database: Database) -> None:
        while True:
            if not await database.read(any_open, self._users) or self._left(calm) <= 0:
                return
            await asyncio.sleep(LOOK_S)

    def _left(self, calm: float) -> float:
        """Seconds in which everything must be final."""
        return self._plan.settle - (time.monotonic() - max(calm, self._witness.last_execute))
