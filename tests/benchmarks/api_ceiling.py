"""The least a job can be read with: a bare Litestar handler over the raw driver.

It sends two queries, without a transaction around them, and encodes the same answer with msgspec.
`/jobs/{id}` takes the user's id out of the token unverified; `/verified/jobs/{id}` verifies it.
"""

import os
import sqlite3
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import jwt
import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from shared.keys import output_key, preview_key
from shared.presign import Presigner
from tests.benchmarks.api_command import serve
from tests.benchmarks.api_server import SECRET, SETTINGS

Row = Mapping[str, Any]
Fetch = Callable[[str, str], Awaitable[tuple[Row | None, Sequence[Row]]]]
"""The job's row and its items' rows, of a job's and a user's id."""

JOB = "SELECT * FROM jobs WHERE id = $1 AND user_id = $2"
ITEMS = "SELECT idx, status, error FROM items WHERE job_id = $1 ORDER BY idx"

_presigner = Presigner(
    SETTINGS["R2_ENDPOINT_URL"],
    "s3-images",
    SETTINGS["R2_ACCESS_KEY_ID"],
    SETTINGS["R2_SECRET_ACCESS_KEY"],
)


def _trusted(token: str) -> str:
    payload = token.split(".")[1]
    return msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]


def _verified(token: str) -> str:
    return jwt.decode(token, SECRET, algorithms=["HS256"])["sub"]


@get("/jobs/{job_id:str}")
async def get_job(request: Request[Any, Any, State], job_id: FromPath[str]) -> Response[bytes]:
    return await _answer(request, job_id, _trusted)


@get("/verified/jobs/{job_id:str}")
async def get_verified(request: Request[Any, Any, State], job_id: FromPath[str]) -> Response[bytes]:
    return await _answer(request, job_id, _verified)


async def _answer(
    request: Request[Any, Any, State], job_id: str, caller: Callable[[str], str]
) -> Response[bytes]:
    user_id = caller(request.headers["authorization"][7:])
    job, items = await cast("Fetch", request.app.state.fetch)(job_id, user_id)
    if job is None:
        raise NotFoundException
    answer = {
        "success": True,
        "data": {"job": _job(job, items)},
        "error": None,
        "meta": {"request_id": os.urandom(16).hex(), "timestamp": _iso(datetime.now(UTC))},
    }
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _job(job: Row, items: Sequence[Row]) -> dict[str, Any]:
    moment = _iso(datetime.fromtimestamp(job["created_at"], UTC))
    fields = ("status", "preset", "total_items", "done_items", "failed_items", "refunded")
    view: dict[str, Any] = {"job_id": job["id"], **{name: job[name] for name in fields}}
    view["created_at"] = moment
    view["items"] = [{"idx": item["idx"], "status": item["status"]} for item in items]
    view["download_urls"] = _links(job["user_id"], job["id"], items)
    for name in ("concepts", "protect", "warnings"):
        if job[name] is not None:
            view[name] = msgspec.Raw(job[name].encode())
    return view


def _links(user_id: str, job_id: str, items: Sequence[Row]) -> list[dict[str, Any]]:
    now = datetime.now(UTC).timestamp()
    return [
        {
            "idx": item["idx"],
            "output_url": _presigner.get(output_key(user_id, job_id, item["idx"]), now=now),
            "preview_url": _presigner.get(preview_key(user_id, job_id, item["idx"]), now=now),
        }
        for item in items
        if item["status"] == "done"
    ]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@asynccontextmanager
async def _sqlite(app: Litestar) -> AsyncGenerator[None]:
    path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row

    # On the loop itself: a hop to a thread would cost more than both queries.
    async def fetch(job_id: str, user_id: str) -> tuple[Row | None, Sequence[Row]]:
        job = connection.execute(JOB, (job_id, user_id)).fetchone()
        return job, connection.execute(ITEMS, (job_id,)).fetchall()

    app.state.fetch = fetch
    yield
    connection.close()


@asynccontextmanager
async def _postgresql(app: Litestar) -> AsyncGenerator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=8) as pool:

        async def fetch(job_id: str, user_id: str) -> tuple[Row | None, Sequence[Row]]:
            async with pool.acquire() as connection:
                job = await connection.fetchrow(JOB, job_id, user_id)
                return job, await connection.fetch(ITEMS, job_id)

        app.state.fetch = fetch
        yield


def create_app() -> Litestar:
    database = _sqlite if os.environ["DATABASE_URL"].startswith("sqlite") else _postgresql
    return Litestar(
        [get_job, get_verified], lifespan=[database], openapi_config=None, logging_config=None
    )


if __name__ == "__main__":
    serve(create_app())
