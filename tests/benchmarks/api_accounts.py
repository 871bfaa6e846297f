"""Accounts and jobs that no call of the API makes: much credit, and photos already done."""

import asyncio
import time
from collections.abc import Sequence

import jwt
from msgspec import Struct
from sqlalchemy import Connection

from edge_api.domain.ids import new_id
from edge_api.domain.jobs import JobStatus
from edge_api.domain.plans import Plan
from edge_api.services.accounts import open_account
from edge_api.services.settlement import record_result
from edge_api.storage.addresses import open_database
from edge_api.storage.dispatches import DispatchState, insert_dispatch, move
from edge_api.storage.jobs import Execution, advance_job, insert_job, queue_job
from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.migrate import upgrade
from edge_api.storage.users import take_job_slot
from shared.actions import Action
from shared.keys import output_key, preview_key
from shared.messages import ItemResult, ItemStatus, idempotency_key
from shared.rules import ConceptRule
from tests.benchmarks.api_server import SECRET

CREDITS = 1_000_000
RULES = {
    "Wall": ConceptRule(Action.RECOLOR, "offwhite_b"),
    "Floor": ConceptRule(Action.TEXTURE, "oak_a"),
}


class Prepared(Struct, frozen=True):
    """One account on the pro plan, and its jobs in the order they were asked for."""

    user_id: str
    token: str
    job_ids: list[str]


def prepare(database_url: str, jobs: Sequence[tuple[int, bool]]) -> Prepared:
    """A new account with jobs of (items, done or only created), in the newest schema."""
    upgrade(database_url)
    return asyncio.run(_prepare(database_url, jobs))


async def _prepare(database_url: str, wanted: Sequence[tuple[int, bool]]) -> Prepared:
    database = open_database(database_url)
    try:
        user_id = await database.write(_open)
        job_ids = [await database.write(_add, user_id, items, done) for items, done in wanted]
    finally:
        await database.close()
    now = int(time.time())
    claims = {"sub": user_id, "iat": now, "exp": now + 3600}
    return Prepared(user_id, jwt.encode(claims, SECRET, algorithm="HS256"), job_ids)


def _open(connection: Connection) -> str:
    now = time.time()
    user, _ = open_account(connection, None, now, Plan.PRO)
    move_credits(connection, user.id, Kind.ADJUST, CREDITS, now, None)
    return user.id


def _add(connection: Connection, user_id: str, items: int, done: bool) -> str:
    job_id, now = new_id("job"), time.time()
    assert take_job_slot(connection, user_id, 3), "a job is open that should have ended"
    insert_job(connection, job_id, user_id, "interior", items, now)
    move_credits(connection, user_id, Kind.RESERVE, -items, now, job_id)
    if done:
        _finish(connection, user_id, job_id, items, now)
    return job_id


def _finish(connection: Connection, user_id: str, job_id: str, items: int, now: float) -> None:
    dispatch_id = new_id("dispatch")
    advance_job(connection, job_id, JobStatus.UPLOADED, confirmed_at=now)
    protect = ["Grout", "Frame_Molding", "Glass_highlight"]
    queue_job(connection, job_id, Execution(RULES, protect, [], None, "benchmark"), now)
    insert_dispatch(connection, dispatch_id, job_id, 1, now + 3600)
    for idx in range(items):
        result = ItemResult(
            idx=idx,
            status=ItemStatus.DONE,
            idempotency_key=idempotency_key(job_id, idx, 1),
            dispatch_id=dispatch_id,
            attempt=1,
            runpod_job_id="benchmark",
            output_key=output_key(user_id, job_id, idx),
            preview_key=preview_key(user_id, job_id, idx),
        )
        assert record_result(connection, job_id, result, now)
    move(connection, dispatch_id, (DispatchState.NEW,), DispatchState.ENDED)
